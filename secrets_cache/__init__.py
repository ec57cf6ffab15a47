"""
secrets-cache: gives a Lambda function of any runtime its secrets, from one cache in one extension.

Importing the package does nothing and costs nothing; `docs/architecture.md` says where everything is.
"""

__version__ = "0.2.0"
