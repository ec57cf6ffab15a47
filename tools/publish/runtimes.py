"""
The runtimes of Lambda that are supported, and those that a layer version names.

The layer brings its own interpreter and needs glibc 2.17: every runtime can use it, also one that is not named.
CompatibleRuntimes is what lists of layers are filtered by
(https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html).
"""

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html in November 2026: what is not deprecated, by the
# system that it runs on. glibc is 2.34 in Amazon Linux 2023 and 2.26 in Amazon Linux 2, whose runtimes end on
# 2027-06-30. Previews (nodejs26.x, python3.15) are left out.
SUPPORTED = {
    "Amazon Linux 2023": (
        "dotnet10",
        "java11.al2023",
        "java17.al2023",
        "java21",
        "java25",
        "java8.al2023",
        "nodejs22.x",
        "nodejs24.x",
        "provided.al2023",
        "python3.12",
        "python3.13",
        "python3.14",
        "ruby3.3",
        "ruby3.4",
        "ruby4.0",
    ),
    "Amazon Linux 2": ("java11", "java17", "java8.al2", "python3.11"),
}
# Lambda takes no more than 15 (the API's page above), which are those of the newer system.
MOST = 15
COMPATIBLE = SUPPORTED["Amazon Linux 2023"]
