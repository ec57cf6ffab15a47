"""
`make demo`: what the product is for, on this machine, without an AWS account and without Docker.

A Secrets Manager (moto's server) holds the secret `secret_now`. AWS's Runtime Interface Emulator runs two functions and
the extension, with an /opt and a loopback of their own: one function asks the cache, through a rotation and an outage;
the other has variables that the exec wrapper has set.
"""

SECRET = '{"username":"anika","password":"aDM4N3*!8TT"}'
