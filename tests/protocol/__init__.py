"""HTTP from outside: the contract, other clients, hostile ones, crowds."""
