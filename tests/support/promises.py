"""
What is promised, which tests prove it, and a change that breaks it: those tests must then fail.

A promise is a sentence of the contract that says never, always, at most, or means it. `make promises` breaks each, and
docs/reliability.md lists them. Long, since it is one table.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("secrets_cache", "tests", "tools", "extensions", "wrapper", "pyproject.toml", "requirements")


class Promise(NamedTuple):
    """
    One promise.

    Attributes:
        about: The part of the contract it stands in.
        text: What is promised.
        file: A file of the package.
        line: What stands there exactly once.
        broken: What stands there instead once the promise is broken.
        tests: Which tests say so, by file; each must fail.
    """

    about: str
    text: str
    file: str
    line: str
    broken: str
    tests: dict[str, tuple[str, ...]]

    def ids(self) -> list[str]:
        """Return the tests as pytest names them."""
        return [f"tests/{file}.py::{test}" for file, tests in self.tests.items() for test in tests]

    def copy_broken(self, target: Path) -> None:
        """Make `target` a copy of the source with this promise broken."""
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target / name)
        module = target / "secrets_cache" / self.file
        module.write_text(module.read_text(encoding="utf-8").replace(self.line, self.broken), encoding="utf-8")


CACHE, HTTP, LIFE = "Cache", "HTTP", "Process"

PROMISES = (
    Promise(
        CACHE,
        "A fresh value is answered from memory: AWS is not asked.",
        "cache.py",
        "        if entry.is_fresh(now) and entry.age(now) < max_age:\n",
        "        if False:\n",
        {"test_cache": ("test_a_fresh_value_is_answered_from_memory",)},
    ),
    Promise(
        CACHE,
        "Age is the larger of wall and monotonic time.",
        "clock.py",
        "max(wall, now.monotonic - since.monotonic, 0.0)",
        "max(now.monotonic - since.monotonic, 0.0)",
        {
            "test_cache": ("test_time_frozen_counts_as_age",),
            "test_cache_properties": ("TestCacheAgainstModel",),
        },
    ),
    Promise(
        CACHE,
        "Age is the larger of monotonic and wall time.",
        "clock.py",
        "max(wall, now.monotonic - since.monotonic, 0.0)",
        "max(wall, 0.0)",
        {"test_cache": ("test_monotonic_time_alone_counts_as_age",)},
    ),
    Promise(
        CACHE,
        "Age counts from when the fetch was sent.",
        "cache.py",
        "held = Held(secret, sent, now.wall,",
        "held = Held(secret, now, now.wall,",
        {"test_cache": ("test_age_counts_from_when_the_fetch_was_sent",)},
    ),
    Promise(
        CACHE,
        "A wall clock that went backwards counts as expired.",
        "freshness.py",
        "return max(since.seconds, ttl) if since.backwards else since.seconds",
        "return since.seconds",
        {"test_cache": ("test_a_wall_clock_that_went_backwards_counts_as_expired",)},
    ),
    Promise(
        CACHE,
        "Serving an old value never makes it younger.",
        "cache.py",
        "            self.counts.stale += 1\n",
        "            self.counts.stale += 1\n            entry.held = entry.held._replace(sent=self._clock.now())\n",
        {"test_cache": ("test_serving_an_old_value_never_makes_it_younger",)},
    ),
    Promise(
        CACHE,
        "Environments do not refresh in step: a refresh ahead has jitter.",
        "freshness.py",
        "self.refresh_ahead * (0.5 + chance / 2)",
        "self.refresh_ahead",
        {
            "test_cache": ("test_refresh_ahead_is_spread",),
            "test_freshness": ("test_a_refresh_is_due_in_the_earlier_half_of_the_window",),
        },
    ),
    Promise(
        CACHE,
        "Parameters that came with one call are due together, when chance says once.",
        "cache.py",
        "            chance = shared if entry.ref.is_parameter else self._random\n",
        "            chance = self._random\n",
        {"test_cache": ("test_when_parameters_that_came_together_are_due_is_chances_word_once",)},
    ),
    Promise(
        CACHE,
        "Parameters that are due, or have failed, together are asked for with one call.",
        "cache.py",
        "        if len(together) > 1:\n",
        "        if False:\n",
        {
            "test_cache": (
                "test_parameters_that_are_soon_due_are_refreshed_together",
                "test_parameters_that_have_expired_come_with_the_first_that_is_asked_for",
                "test_parameters_that_failed_together_are_asked_for_together_again",
            )
        },
    ),
    Promise(
        CACHE,
        "A call for ten parameters that AWS throttles, or that it cannot answer now, is not followed by ten calls.",
        "parameterstore.py",
        'if isinstance(error, SecretUnavailable) or error.what != "parameter":',
        'if error.what != "parameter":',
        {"test_parameterstore": ("test_what_may_pass_is_the_failure_of_all_ten",)},
    ),
    Promise(
        CACHE,
        "While a refresh ahead is under way, callers get the fresh value at once.",
        "cache.py",
        "                self._start(entry)\n            return self._serve(entry, Served.HIT, max_age)",
        "                await self._fetch(entry, Served.HIT, now)\n            return self._serve(entry, Served.HIT)",
        {"test_cache": ("test_refresh_ahead_serves_the_fresh_value_and_refreshes_behind_it",)},
    ),
    Promise(
        CACHE,
        "An expired value is not served, unless stale-while-revalidate or stale-if-error covers its age.",
        "freshness.py",
        "        return self.age(now) < self.policy.ttl\n",
        "        return self.held is not None\n",
        {
            "test_cache": ("test_time_frozen_counts_as_age", "test_callers_of_an_expired_secret_share_one_call"),
            "test_server": ("test_an_expired_value_is_fetched_and_a_failing_upstream_bridged",),
        },
    ),
    Promise(
        CACHE,
        "After a passing failure the old value is served for `stale_if_error`, and no longer.",
        "freshness.py",
        "isinstance(failure.error, SecretUnavailable) and self.age(now) < self.policy.ttl + bridged",
        "isinstance(failure.error, SecretUnavailable) and self.held is not None",
        {
            "test_cache": ("test_a_passing_failure_is_bridged_by_the_old_value",),
            "test_freshness": ("test_what_each_age_allows",),
        },
    ),
    Promise(
        CACHE,
        "A definite refusal is never masked by an old value once that has expired.",
        "freshness.py",
        "isinstance(failure.error, SecretUnavailable) and self.age(now) < self.policy.ttl + bridged",
        "self.age(now) < self.policy.ttl + self.policy.stale_if_error",
        {
            "test_cache": ("test_a_definite_refusal_is_never_masked_once_expired",),
            "test_cache_properties": ("TestCacheAgainstModel",),
        },
    ),
    Promise(
        CACHE,
        "Nor by stale-while-revalidate.",
        "freshness.py",
        "        if self.failure is not None and self.failure.refused:\n            return False\n",
        "",
        {"test_cache": ("test_stale_while_revalidate_does_not_mask_a_definite_refusal",)},
    ),
    Promise(
        CACHE,
        "A refusal stands until AWS gives the value again: a time-out after it brings no expired value back.",
        "freshness.py",
        "or (earlier is not None and earlier.refused)",
        "",
        {"test_cache": ("test_a_definite_refusal_stands_until_aws_gives_the_value_again",)},
    ),
    Promise(
        CACHE,
        "A value served past its ttl is always marked.",
        "cache.py",
        "Served.HIT if is_fresh else Served.STALE",
        "Served.HIT",
        {
            "test_cache": ("test_a_passing_failure_is_bridged_by_the_old_value",),
            "test_server": ("test_an_expired_value_is_fetched_and_a_failing_upstream_bridged",),
        },
    ),
    Promise(
        CACHE,
        "After a failure AWS is not asked for a while.",
        "freshness.py",
        "return self.failure if not since.backwards and since.seconds < self.failure.backoff else None",
        "return None",
        {"test_cache": ("test_after_a_failure_nobody_asks_for_a_while",)},
    ),
    Promise(
        CACHE,
        "That while is at most 60 s.",
        "freshness.py",
        ", MAX_BACKOFF_SECONDS / (1 + JITTER))",
        ", 1e9)",
        {
            "test_cache": ("test_after_a_failure_nobody_asks_for_a_while",),
            "test_freshness": ("test_the_longest_back_off_is_at_most_a_minute_and_spread_as_any_other",),
        },
    ),
    Promise(
        CACHE,
        "The back-off has jitter.",
        "freshness.py",
        "doubled * (1 - JITTER + 2 * JITTER * chance)",
        "doubled",
        {"test_cache": ("test_the_back_off_is_spread",)},
    ),
    Promise(
        CACHE,
        "Any number of callers of one secret share one call to AWS.",
        "flight.py",
        "if task is None or task.done():",
        "if True:",
        {
            "test_cache": ("test_callers_of_an_expired_secret_share_one_call",),
            "test_flight": ("test_callers_at_the_same_time_share_one_call",),
        },
    ),
    Promise(
        CACHE,
        "A caller that goes away harms no other.",
        "flight.py",
        "return await asyncio.shield(task)",
        "return await task",
        {
            "test_cache": ("test_a_caller_that_goes_away_harms_no_other",),
            "test_flight": ("test_a_caller_that_leaves_harms_no_other",),
        },
    ),
    Promise(
        CACHE,
        "A forced refresh is made at most once a second for each secret.",
        "freshness.py",
        "return since.backwards or since.seconds >= FORCED_INTERVAL_SECONDS",
        "return True",
        {"test_cache": ("test_forced_refreshes_are_shared_and_at_most_one_a_second",)},
    ),
    Promise(
        CACHE,
        "At most 1,000 entries are kept besides the listed ones, and the least recently used goes first.",
        "entries.py",
        "while len(self._unlisted) > self._max_unlisted:",
        "while False:",
        {
            "test_cache": ("test_unlisted_entries_are_bounded_and_the_least_recently_used_goes_first",),
            "test_app": ("test_a_thousand_names_besides_the_listed_ones_are_kept",),
        },
    ),
    Promise(
        CACHE,
        "A call that a freeze broke is made again, invisibly to the caller.",
        "attempts.py",
        "if watch.was_frozen and thaws < MAX_THAWS:",
        "if False:",
        {
            "test_attempts": ("test_an_attempt_that_was_frozen_is_made_again_at_once_with_the_whole_budget",),
            "test_extension": ("test_frozen_for_longer_than_the_budget_in_the_middle_of_a_fetch",),
        },
    ),
    Promise(
        CACHE,
        "A signature that has expired is made anew at once, without a pause.",
        "secretsmanager/answers.py",
        'cause = "AWS found the request\'s signature too old or too new"\n'
        "        return Passing(SecretUnavailable(name, code=code, cause=cause), at_once=True)",
        'cause = "AWS found the request\'s signature too old or too new"\n'
        "        return Passing(SecretUnavailable(name, code=code, cause=cause))",
        {"test_secretsmanager": ("test_an_old_signature_or_connection_costs_no_pause",)},
    ),
    Promise(
        CACHE,
        "An attempt for one secret never outlives `fetch_timeout`.",
        "attempts.py",
        "while not self._task.done() and self.spent_seconds < budget_seconds and not self.was_frozen:",
        "while not self._task.done() and not self.was_frozen:",
        {"test_attempts": ("test_an_attempt_that_hangs_ends_with_the_budget",)},
    ),
    Promise(
        CACHE,
        "A batch has at most 20 secrets.",
        "secretsmanager/source.py",
        "BATCH_SIZE = 20",
        "BATCH_SIZE = 21",
        {"test_secretsmanager": ("test_above_the_limit_secrets_are_asked_for_twenty_at_a_time",)},
    ),
    Promise(
        CACHE,
        "Whatever ends a fetch, AWS is left alone for a while after it.",
        "cache.py",
        "        except BaseException as error:\n",
        "        except Exception as error:\n",
        {"test_cache": ("test_whatever_ends_a_fetch_is_a_failure",)},
    ),
    Promise(
        CACHE,
        "A fetch that takes longer than the ttl is shared as any other.",
        "freshness.py",
        ">= max(ttl, slowest_fetch)",
        ">= ttl",
        {"test_cache": ("test_a_slow_fetch_is_shared_by_those_who_come_after_its_ttl",)},
    ),
    Promise(
        CACHE,
        "Only what is listed or allowed is asked for.",
        "entries.py",
        "            if not self._allows(name):\n",
        "            if False:\n",
        {"test_cache": ("test_a_name_that_is_neither_listed_nor_allowed",)},
    ),
    Promise(
        CACHE,
        "What a batch refuses is asked for one by one.",
        "secretsmanager/source.py",
        "await asyncio.gather(*(self._deliver(ref, left, deliver) for ref in missing))",
        "del left",
        {
            "test_secretsmanager": (
                "test_what_a_batch_refuses_is_asked_for_one_by_one",
                "test_one_secret_that_a_batch_does_not_give_concerns_only_itself",
            )
        },
    ),
    Promise(
        CACHE,
        "No secret is taken for another one that AWS calls the same, as in two accounts.",
        "entries.py",
        "            return first if first in having else None\n",
        "            return next(iter(having), None)\n",
        {"test_entries": ("test_one_name_in_two_accounts_belongs_to_the_first_listed",)},
    ),
    Promise(
        HTTP,
        "The server listens on loopback only.",
        "listeners.py",
        '_listen(_socket.AF_INET, "127.0.0.1", port)',
        '_listen(_socket.AF_INET, "0.0.0.0", port)',
        {"test_listeners": ("test_both_loopbacks_listen_on_one_port_and_nothing_else_does",)},
    ),
    Promise(
        HTTP,
        "A value arrives byte for byte as AWS stored it.",
        "server/representation.py",
        "        return (JSON if is_document(secret.value.decode()) else TEXT), secret.value\n",
        "        return (JSON if is_document(secret.value.decode()) else TEXT), secret.value.strip()\n",
        {"test_server": ("test_values_arrive_byte_for_byte",)},
    ),
    Promise(
        HTTP,
        "A forwarded request is never answered with a secret.",
        "server/admission.py",
        "    if present:\n",
        "    if False:\n",
        {"test_server": ("test_forwarded_requests_are_refused",)},
    ),
    Promise(
        HTTP,
        "Nor is one for a host that is not this machine.",
        "server/admission.py",
        "if len(hosts) != 1 or not is_local(hosts[0]):",
        "if len(hosts) != 1:",
        {"test_server": ("test_a_request_for_another_host_is_refused",)},
    ),
    Promise(
        HTTP,
        "Nor is what a page in a browser asks.",
        "server/admission.py",
        "    if origins:\n",
        "    if False:\n",
        {"test_server": ("test_what_a_page_in_a_browser_asks_is_refused",)},
    ),
    Promise(
        HTTP,
        "What the second listener fetched on demand is not served by the first.",
        "entries.py",
        "self._unlisted.get(ref) is entry and self._allows(ref.secret_id)",
        "self._unlisted.get(ref) is entry",
        {"test_entries": ("test_anything_shares_what_is_listed_under_its_id",)},
    ),
    Promise(
        HTTP,
        "With a token configured, nothing but `/ping` is answered without it.",
        "server/replies.py",
        "if self._tokens is not None and not admission.knows_token(self._tokens, asked.tokens):",
        "if self._tokens and not admission.knows_token(self._tokens, asked.tokens):",
        {"test_server": ("test_without_a_token_that_can_be_right_nobody_is_served",)},
    ),
    Promise(
        HTTP,
        "A token is compared in constant time.",
        "server/admission.py",
        'hmac.compare_digest(given, token.encode("utf-8", "surrogateescape"))',
        "given == token.encode()",
        {"test_hostile": ("test_a_guess_is_compared_with_every_token_in_constant_time",)},
    ),
    Promise(
        HTTP,
        "No answer may be stored on its way.",
        "server/representation.py",
        '        "Cache-Control": "no-store",\n',
        "",
        {"test_server": ("test_an_answer_says_which_version_how_old_and_where_from",)},
    ),
    Promise(
        HTTP,
        "A request that comes before the first fetch has ended waits for it.",
        "cache.py",
        "        self.start_prefetch()\n        await self._flights.settle(self._entries.may_turn_out_as(name))",
        "        await self._flights.settle(self._entries.may_turn_out_as(name))",
        {"test_cache": ("test_the_first_request_starts_the_prefetch_if_nobody_did",)},
    ),
    Promise(
        HTTP,
        "What cannot be meant is refused, never ignored.",
        "server/target.py",
        "        if name not in PARAMETERS:\n",
        "        if name not in PARAMETERS:\n            continue\n        if False:\n",
        {"test_server": ("test_requests_that_cannot_be_meant",)},
    ),
    Promise(
        HTTP,
        "`/health` says 200 only when every listed secret can be served.",
        "server/replies.py",
        "200 if is_servable and not wrong else 503",
        "200 if not wrong else 503",
        {"test_server": ("test_health_is_degraded_by_stale_values_and_failing_without_any",)},
    ),
    Promise(
        HTTP,
        "`Date` says when AWS gave the value, not when it was sent.",
        "server/representation.py",
        '"Date": http_date(held.received_at),',
        '"Date": http_date(held.sent.wall),',
        {"test_server": ("test_date_says_when_the_value_was_had",)},
    ),
    Promise(
        HTTP,
        "Status 503 always says when to try again.",
        "server/replies.py",
        '        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))\n',
        "        pass\n",
        {"test_server": ("test_retry_after_says_when_there_will_be_another_try",)},
    ),
    Promise(
        HTTP,
        "An error of ours shows nothing of what caused it.",
        "server/replying.py",
        "            reply = self._of_failure()\n",
        '            reply = self._of_failure()._replace(body=str(error).encode("utf-8", "replace"))\n',
        {"test_server": ("test_an_error_of_ours_shows_nothing",)},
    ),
    Promise(
        HTTP,
        "A remembered answer is forgotten when the entry changes.",
        "server/lane.py",
        "        if self._generation != self._cache.generation:\n",
        "        if False:\n",
        {"test_server_lane": ("test_a_new_version_is_served_from_the_moment_it_is_there",)},
    ),
    Promise(
        HTTP,
        "A connection that waits for an answer is never ended to make room.",
        "server/door.py",
        'waits for an answer on a connection."""\n        self._idle.pop(connection, None)\n',
        'waits for an answer on a connection."""\n',
        {"test_server": ("test_a_connection_that_waits_for_an_answer_is_never_ended",)},
    ),
    Promise(
        LIFE,
        "It registers for SHUTDOWN only, so no invocation ever waits for it.",
        "extensions_api.py",
        'b\'{"events":["SHUTDOWN"]}\'',
        'b\'{"events":["INVOKE","SHUTDOWN"]}\'',
        {
            "test_extensions_api": ("test_registering_is_for_shutdown_only_under_the_files_name",),
        },
    ),
    Promise(
        LIFE,
        "From before the registration on, a connection is never refused.",
        "extension.py",
        "            self._bind()\n        if not self._registered:\n            self._register()\n",
        "            pass\n        if not self._registered:\n            self._register()\n            self._bind()\n",
        {"test_extension": ("test_the_port_is_open_when_the_registration_arrives",)},
    ),
    Promise(
        LIFE,
        "Nothing slow is imported before the registration.",
        "extension.py",
        "import gc\nimport os\n",
        "import gc\nimport json\nimport os\n",
        {"test_extension": ("test_nothing_heavy_is_imported_before_the_registration",)},
    ),
    Promise(
        LIFE,
        "The init waits for the prefetch, at most 2 s from the registration on.",
        "life.py",
        "timeout=None if is_awaited else left",
        "timeout=None",
        {"test_extension": ("test_a_prefetch_that_hangs_does_not_hold_the_init",)},
    ),
    Promise(
        LIFE,
        "`/event/next` has no time-out.",
        "extensions_api.py",
        "is_answered_in_time=path != NEXT",
        "is_answered_in_time=True",
        {"test_extensions_api": ("test_the_next_event_has_no_time_out",)},
    ),
    Promise(
        LIFE,
        "It is never asked for again at once: after each failure the pause doubles.",
        "extensions_api.py",
        "pause = min(pause * 2, MAX_RETRY_SECONDS)",
        "pause = first_pause",
        {"test_extensions_api": ("test_the_pause_between_two_tries_doubles",)},
    ),
    Promise(
        LIFE,
        "The process never ends before SHUTDOWN, whatever fails.",
        "extension.py",
        "    _stay(api, start)\n    return 0\n",
        "    return 1\n",
        {
            "test_extension": (
                "test_what_cannot_be_imported_leaves_the_last_resort",
                "test_a_server_that_cannot_start_leaves_the_last_resort",
            )
        },
    ),
    Promise(
        LIFE,
        "After SHUTDOWN it ends at once, whatever still runs.",
        "extension.py",
        "    os._exit(code)\n\n\ndef _open",
        "    sys.exit(code)\n\n\ndef _open",
        {"test_extension": ("test_a_thread_that_hangs_does_not_hold_the_end",)},
    ),
    Promise(
        LIFE,
        "Under SnapStart nothing is fetched before the first request.",
        "app.py",
        'return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"',
        "return False",
        {
            "test_app": ("test_under_snapstart_nothing_is_fetched_before_the_first_request",),
            "test_extension": ("test_under_snapstart_it_is_ready_without_having_fetched",),
        },
    ),
    Promise(
        LIFE,
        "Credentials that have expired are asked for again.",
        "secretsmanager/client.py",
        "if client.credentials_may_change and _is_about_credentials(failure):",
        "if False:",
        {"test_secretsmanager": ("test_container_credentials_that_expired_are_asked_for_again",)},
    ),
    Promise(
        LIFE,
        "The timer refreshes what is due without any request, and survives any error.",
        "app.py",
        "            cache.refresh_due()\n",
        "            pass\n",
        {
            "test_app": (
                "test_a_refresh_comes_by_itself_before_the_value_expires",
                "test_the_timer_survives_an_error_of_ours",
            )
        },
    ),
    Promise(
        LIFE,
        "At INFO one line for each refresh that changed a version, and none for one that did not.",
        "cache.py",
        "logging.INFO if changed or recovered else logging.DEBUG",
        "logging.INFO",
        {"test_cache": ("test_only_what_matters_is_logged_at_info",)},
    ),
    Promise(
        LIFE,
        "No name of a secret is in a metric unless asked for.",
        "emf.py",
        "        if self._by_secret:\n",
        "        if True:\n",
        {"test_emf": ("test_no_line_names_a_secret_unless_asked_for",)},
    ),
    Promise(
        LIFE,
        "The value of a secret is in no repr.",
        "secret.py",
        '    def __repr__(self) -> str:\n        return repr_without("value", self)\n',
        "",
        {"test_secret": ("test_repr_shows_everything_but_the_value",)},
    ),
    Promise(
        LIFE,
        "Of an error only the type and the place are logged.",
        "logs.py",
        'return {"error": type(error).__name__, "at": place}',
        'return {"error": type(error).__name__, "at": place, "text": str(error)}',
        {"test_logs": ("test_of_an_error_only_type_and_place_show",)},
    ),
    Promise(
        LIFE,
        "Nobody waits for a log line that nobody takes.",
        "logs.py",
        "if not _is_writable(0 if self._dropped else FULL_PIPE_MILLISECONDS):",
        "if False:",
        {"test_logs": ("test_a_pipe_that_nobody_empties_is_not_waited_for",)},
    ),
    Promise(
        LIFE,
        "Nobody but root can look into the memory of the process.",
        "limits.py",
        "    _make_undumpable()\n    soft",
        "    soft",
        {"test_nothing_leaks": ("test_the_functions_own_code_cannot_look_into_the_extension",)},
    ),
    Promise(
        LIFE,
        "No core dump is written.",
        "limits.py",
        "        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n",
        "        pass\n",
        {"test_extension": ("test_no_core_dump_is_written_whatever_fails",)},
    ),
)


def table() -> str:
    """Return the promises as the table of docs/reliability.md."""
    lines = ["| part | promise | proven by |", "| --- | --- | --- |"]
    for promise in PROMISES:
        tests = ", ".join(f"`{test}`" for tests in promise.tests.values() for test in tests)
        lines.append(f"| {promise.about} | {promise.text} | {tests} |")
    return "\n".join(lines) + "\n"
