"""
AWS, for the rest of the program: secrets and parameters from AWS's own services.

    source              chooses the service, region and role that a secret belongs to
      secretsmanager    requests to Secrets Manager; its answers become secrets
      parameterstore    the same for Systems Manager Parameter Store
      store             what the two share: one secret in one call, or many in few
      merge             results of several calls, in the order in which they arrive
      limiter           a bounded number of calls at once, each within its budget
    client              the interface of everything that makes calls, and the shape of requests and answers
    choice              which client makes the calls, and what clients share
      direct            every call by the standard library, for the common settings
        protocols         the operations as values: their requests, and what is read of answers
        endpoints         which settings are common, and where calls go then
        endpoint_table    what botocore knows of endpoints: generated
        trust             which TLS certificates are trusted
        signing           Signature Version 4
      lazy_client       every call by aiobotocore, imported when first needed
      aiobotocore       the same, after the import
    credentials         what signs requests, and where it comes from
      renewal             credentials that expire, renewed in time
      container           those of a container's endpoint
      sts                 those of a role that is assumed
    errors              what AWS's errors mean

Rules
-----
1. Only this folder knows AWS's error codes. Outside it there are definite refusals and passing failures.
2. An answer's body may hold a secret. Only AWS's error code is shown, and its message without credentials.
3. Importing aiobotocore is slow. It is imported when a call needs it, not before.
"""
