"""
Where the services of each partition are. Written by `make endpoints` from botocore's data: do not edit.

A partition has for each service what follows the service's name in a host, where {} is the region: the plain one, with
FIPS, with dual-stack, with both; None where botocore knows none.
"""

Partition = dict[str, tuple[str | None, ...]]

PARTITIONS: dict[str, Partition] = {
    "aws": {
        "secretsmanager": (
            ".{}.amazonaws.com",
            "-fips.{}.amazonaws.com",
            ".{}.amazonaws.com",
            "-fips.{}.amazonaws.com",
        ),
        "ssm": (".{}.amazonaws.com", "-fips.{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
        "sts": (".{}.amazonaws.com", "-fips.{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
    },
    "aws-cn": {
        "secretsmanager": (
            ".{}.amazonaws.com.cn",
            "-fips.{}.amazonaws.com.cn",
            ".{}.amazonaws.com.cn",
            "-fips.{}.api.amazonwebservices.com.cn",
        ),
        "ssm": (
            ".{}.amazonaws.com.cn",
            "-fips.{}.amazonaws.com.cn",
            ".{}.api.amazonwebservices.com.cn",
            "-fips.{}.api.amazonwebservices.com.cn",
        ),
        "sts": (
            ".{}.amazonaws.com.cn",
            "-fips.{}.amazonaws.com.cn",
            ".{}.api.amazonwebservices.com.cn",
            "-fips.{}.api.amazonwebservices.com.cn",
        ),
    },
    "aws-eusc": {
        "secretsmanager": (
            ".{}.amazonaws.eu",
            "-fips.{}.amazonaws.eu",
            ".{}.api.amazonwebservices.eu",
            "-fips.{}.api.amazonwebservices.eu",
        ),
        "ssm": (
            ".{}.amazonaws.eu",
            "-fips.{}.amazonaws.eu",
            ".{}.api.amazonwebservices.eu",
            "-fips.{}.api.amazonwebservices.eu",
        ),
        "sts": (
            ".{}.amazonaws.eu",
            "-fips.{}.amazonaws.eu",
            ".{}.api.amazonwebservices.eu",
            "-fips.{}.api.amazonwebservices.eu",
        ),
    },
    "aws-iso": {
        "secretsmanager": (".{}.c2s.ic.gov", "-fips.{}.c2s.ic.gov", ".{}.api.aws.ic.gov", "-fips.{}.api.aws.ic.gov"),
        "ssm": (".{}.c2s.ic.gov", "-fips.{}.c2s.ic.gov", ".{}.api.aws.ic.gov", "-fips.{}.api.aws.ic.gov"),
        "sts": (".{}.c2s.ic.gov", "-fips.{}.c2s.ic.gov", ".{}.api.aws.ic.gov", "-fips.{}.api.aws.ic.gov"),
    },
    "aws-iso-b": {
        "secretsmanager": (
            ".{}.sc2s.sgov.gov",
            "-fips.{}.sc2s.sgov.gov",
            ".{}.api.aws.scloud",
            "-fips.{}.api.aws.scloud",
        ),
        "ssm": (".{}.sc2s.sgov.gov", "-fips.{}.sc2s.sgov.gov", ".{}.api.aws.scloud", "-fips.{}.api.aws.scloud"),
        "sts": (".{}.sc2s.sgov.gov", "-fips.{}.sc2s.sgov.gov", ".{}.api.aws.scloud", "-fips.{}.api.aws.scloud"),
    },
    "aws-iso-e": {
        "secretsmanager": (".{}.cloud.adc-e.uk", "-fips.{}.cloud.adc-e.uk", None, None),
        "ssm": (".{}.cloud.adc-e.uk", "-fips.{}.cloud.adc-e.uk", None, None),
        "sts": (".{}.cloud.adc-e.uk", "-fips.{}.cloud.adc-e.uk", None, None),
    },
    "aws-iso-f": {
        "secretsmanager": (".{}.csp.hci.ic.gov", "-fips.{}.csp.hci.ic.gov", None, None),
        "ssm": (".{}.csp.hci.ic.gov", "-fips.{}.csp.hci.ic.gov", None, None),
        "sts": (".{}.csp.hci.ic.gov", "-fips.{}.csp.hci.ic.gov", None, None),
    },
    "aws-us-gov": {
        "secretsmanager": (
            ".{}.amazonaws.com",
            "-fips.{}.amazonaws.com",
            ".{}.amazonaws.com",
            "-fips.{}.amazonaws.com",
        ),
        "ssm": (".{}.amazonaws.com", ".{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
        "sts": (".{}.amazonaws.com", ".{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
    },
}
# By what a region's name has before its direction and number.
PREFIXES = {
    "us": "aws",
    "eu": "aws",
    "ap": "aws",
    "sa": "aws",
    "ca": "aws",
    "me": "aws",
    "af": "aws",
    "il": "aws",
    "mx": "aws",
    "cn": "aws-cn",
    "eusc-de": "aws-eusc",
    "us-iso": "aws-iso",
    "us-isob": "aws-iso-b",
    "eu-isoe": "aws-iso-e",
    "us-isof": "aws-iso-f",
    "us-gov": "aws-us-gov",
}
# Of other names.
REGIONS = {
    "aws-global": "aws",
    "aws-cn-global": "aws-cn",
    "aws-iso-global": "aws-iso",
    "aws-iso-b-global": "aws-iso-b",
    "aws-iso-e-global": "aws-iso-e",
    "aws-iso-f-global": "aws-iso-f",
    "aws-us-gov-global": "aws-us-gov",
}
# Where the above is wrong: the hosts, and the regions that requests are signed for.
EXCEPTIONS: dict[tuple[str, str], tuple[tuple[str, str] | None, ...]] = {
    ("sts", "aws-global"): (
        ("sts.amazonaws.com", "us-east-1"),
        ("sts-fips.aws-global.amazonaws.com", "us-east-1"),
        ("sts.aws-global.api.aws", "us-east-1"),
        ("sts-fips.aws-global.api.aws", "us-east-1"),
    )
}
