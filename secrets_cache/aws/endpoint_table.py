"""
Where the services of each partition are. Written by `make endpoints` from botocore's data: do not edit.

A partition has for each service what follows its name in a host, where {} is the region: the plain one, with FIPS, with
dual-stack, with both; None where botocore knows none.
"""

Partition = dict[str, tuple[str | None, ...]]

AWS: Partition = {
    "secretsmanager": (".{}.amazonaws.com", "-fips.{}.amazonaws.com", ".{}.amazonaws.com", "-fips.{}.amazonaws.com"),
    "ssm": (".{}.amazonaws.com", "-fips.{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
    "sts": (".{}.amazonaws.com", "-fips.{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
}
AWS_CN: Partition = {
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
}
AWS_EUSC: Partition = {
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
}
AWS_ISO: Partition = {
    "secretsmanager": (".{}.c2s.ic.gov", "-fips.{}.c2s.ic.gov", ".{}.api.aws.ic.gov", "-fips.{}.api.aws.ic.gov"),
    "ssm": (".{}.c2s.ic.gov", "-fips.{}.c2s.ic.gov", ".{}.api.aws.ic.gov", "-fips.{}.api.aws.ic.gov"),
    "sts": (".{}.c2s.ic.gov", "-fips.{}.c2s.ic.gov", ".{}.api.aws.ic.gov", "-fips.{}.api.aws.ic.gov"),
}
AWS_ISO_B: Partition = {
    "secretsmanager": (".{}.sc2s.sgov.gov", "-fips.{}.sc2s.sgov.gov", ".{}.api.aws.scloud", "-fips.{}.api.aws.scloud"),
    "ssm": (".{}.sc2s.sgov.gov", "-fips.{}.sc2s.sgov.gov", ".{}.api.aws.scloud", "-fips.{}.api.aws.scloud"),
    "sts": (".{}.sc2s.sgov.gov", "-fips.{}.sc2s.sgov.gov", ".{}.api.aws.scloud", "-fips.{}.api.aws.scloud"),
}
AWS_ISO_E: Partition = {
    "secretsmanager": (".{}.cloud.adc-e.uk", "-fips.{}.cloud.adc-e.uk", None, None),
    "ssm": (".{}.cloud.adc-e.uk", "-fips.{}.cloud.adc-e.uk", None, None),
    "sts": (".{}.cloud.adc-e.uk", "-fips.{}.cloud.adc-e.uk", None, None),
}
AWS_ISO_F: Partition = {
    "secretsmanager": (".{}.csp.hci.ic.gov", "-fips.{}.csp.hci.ic.gov", None, None),
    "ssm": (".{}.csp.hci.ic.gov", "-fips.{}.csp.hci.ic.gov", None, None),
    "sts": (".{}.csp.hci.ic.gov", "-fips.{}.csp.hci.ic.gov", None, None),
}
AWS_US_GOV: Partition = {
    "secretsmanager": (".{}.amazonaws.com", "-fips.{}.amazonaws.com", ".{}.amazonaws.com", "-fips.{}.amazonaws.com"),
    "ssm": (".{}.amazonaws.com", ".{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
    "sts": (".{}.amazonaws.com", ".{}.amazonaws.com", ".{}.api.aws", "-fips.{}.api.aws"),
}
# By what a region's name has before its direction and number.
PREFIXES: dict[str, Partition] = {
    "us": AWS,
    "eu": AWS,
    "ap": AWS,
    "sa": AWS,
    "ca": AWS,
    "me": AWS,
    "af": AWS,
    "il": AWS,
    "mx": AWS,
    "cn": AWS_CN,
    "eusc-de": AWS_EUSC,
    "us-iso": AWS_ISO,
    "us-isob": AWS_ISO_B,
    "eu-isoe": AWS_ISO_E,
    "us-isof": AWS_ISO_F,
    "us-gov": AWS_US_GOV,
}
# Of other names.
REGIONS: dict[str, Partition] = {
    "aws-global": AWS,
    "aws-cn-global": AWS_CN,
    "aws-iso-global": AWS_ISO,
    "aws-iso-b-global": AWS_ISO_B,
    "aws-iso-e-global": AWS_ISO_E,
    "aws-iso-f-global": AWS_ISO_F,
    "aws-us-gov-global": AWS_US_GOV,
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
