"""One run over all regions: what is asked of AWS, in which order, and what becomes of it."""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

from tools.publish import awscli
from tools.publish.archives import Archive
from tools.publish.awscli import AwsError, NoCredentials
from tools.publish.outcomes import Outcome, candidates, has_statement, is_done, lines
from tools.publish.page import Row

INTERRUPTED = "interrupted"


class Run:
    """
    One run.

    Attributes:
        outcomes: What became of each architecture in each region that was tried.
        stopped: Why the rest was not tried; empty if all was.
    """

    def __init__(self, layer: str, found: Sequence[Archive], *, is_public: bool) -> None:
        self._layer = layer
        self._archives = found
        self._is_public = is_public
        self._total = 0
        self.outcomes: list[Outcome] = []
        self.stopped = ""

    @property
    def exit_code(self) -> int:
        """0 if all is there, else 1."""
        return int(bool(self.stopped) or any(outcome.failure for outcome in self.outcomes))

    def publish(self, regions: Sequence[str]) -> None:
        """Try all regions; stop early only where no region would do better."""
        self._total = len(regions) * len(self._archives)
        print(f"Publishing version {self._archives[0].version} as the layer {self._layer}:", flush=True)
        try:
            for region in regions:
                print(f"  {region} ...", flush=True)
                for outcome in self._region(region):
                    self.outcomes.append(outcome)
                    if self.stopped:
                        return
        except (NoCredentials, KeyboardInterrupt) as error:
            self.stopped = str(error) or INTERRUPTED

    def _region(self, region: str) -> Iterator[Outcome]:
        try:
            versions = awscli.versions(region, self._layer)
        except AwsError as error:
            yield from (Outcome(region, archive.architecture, failure=str(error)) for archive in self._archives)
        else:
            yield from (self._architecture(region, archive, versions) for archive in self._archives)

    def _architecture(self, region: str, archive: Archive, versions: Sequence[dict[str, object]]) -> Outcome:
        """Publish one zip in one region, and share it, as far as that is not so already."""
        arn, is_new, is_newly_shared, failure = "", False, False, ""
        try:
            arn = self._find(region, archive, versions)
            if not arn:
                arn = awscli.publish(region, self._layer, archive)
                is_new = True
            if self._is_public:
                is_newly_shared = self._share(region, int(arn.rpartition(":")[2]), is_new=is_new)
        except AwsError as error:
            failure = str(error)
        # Not let through: what was published until then would not be known.
        except (NoCredentials, KeyboardInterrupt) as error:
            failure = self.stopped = str(error) or INTERRUPTED
        return Outcome(region, archive.architecture, arn, is_new, is_newly_shared, failure)

    def _find(self, region: str, archive: Archive, versions: Sequence[dict[str, object]]) -> str:
        """Return the ARN of the version that holds a zip; empty if none does."""
        arns = {version["Version"]: str(version["LayerVersionArn"]) for version in versions}
        for number in candidates(versions, archive.architecture, awscli.description_of(archive)):
            if awscli.code_sha256(region, self._layer, number) == archive.code_sha256:
                return arns[number]
        return ""

    def _share(self, region: str, version: int, *, is_new: bool) -> bool:
        """Share a version with everyone unless it is; return whether that was done."""
        if not is_new and has_statement(awscli.policy(region, self._layer, version), awscli.STATEMENT):
            return False
        awscli.share(region, self._layer, version)
        return True

    def rows(self) -> dict[str, Row]:
        """Return the page's rows for the regions that have all that was asked for."""
        rows = {}
        for region, group in groupby(self.outcomes, key=lambda outcome: outcome.region):
            outcomes = tuple(group)
            if is_done(outcomes, [archive.architecture for archive in self._archives]):
                rows[region] = Row(self._archives[0].version, *(outcome.arn for outcome in outcomes))
        return rows

    def report(self) -> None:
        """Say what became of each architecture in each region, and how to go on."""
        for heading, group in groupby(lines(self.outcomes), key=lambda line: line[0]):
            stream = sys.stderr if heading == "failed" else sys.stdout
            stream.write("".join([f"{heading}:\n", *(f"  {line}\n" for _, line in group)]))
            stream.flush()
        if self.stopped:
            sys.stderr.write(f"make publish: stopped: {self.stopped}\n")
        if self.exit_code:
            good = sum(not outcome.failure for outcome in self.outcomes)
            sys.stderr.write(
                f"make publish: {good} of {self._total} layer versions are in place; "
                "run the same command again to continue\n"
            )
