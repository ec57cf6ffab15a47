"""
The promises: what is promised, a change that breaks it, and the tests that prove it, which must then fail.

A promise is a sentence of the contract that says never, always, at most, or means it. `make promises` breaks each, and
docs/reliability.md lists them. Long, since it is one table.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tools.mutation import Mutation


class Promise(NamedTuple):
    """
    One promise.

    Attributes:
        text: What is promised. Several may share a text, of which each breaks a part.
        mutation: What breaks the promise in the package.
        tests: The names of the tests that prove it; each must fail. `module:test` where several modules define one.
    """

    text: str
    mutation: Mutation
    tests: Sequence[str]


CACHE = (
    # Fresh, and how old.
    Promise(
        "A fresh value comes from memory, without a call to AWS.",
        Mutation("Cache._answer", "is_young and entry.is_fresh(now)", "False"),
        ["test_a_fresh_value_is_answered_from_memory"],
    ),
    Promise(
        "Age counts from when the fetch was sent, by the clock that shows more; time frozen counts.",
        Mutation(
            "elapsed", "max(wall, now.monotonic - since.monotonic, 0.0)", "max(now.monotonic - since.monotonic, 0.0)"
        ),
        ["test_time_frozen_counts_as_age", "TestCacheAgainstModel"],
    ),
    Promise(
        "Age counts from when the fetch was sent, by the clock that shows more; time frozen counts.",
        Mutation("elapsed", "max(wall, now.monotonic - since.monotonic, 0.0)", "max(wall, 0.0)"),
        ["test_monotonic_time_alone_counts_as_age"],
    ),
    Promise(
        "Age counts from when the fetch was sent, by the clock that shows more; time frozen counts.",
        Mutation(
            "Fetcher._keep_value",
            "CachedValue(secret, sent, now.wall, entry.policy.pick_refresh_age_seconds(random))",
            "CachedValue(secret, now, now.wall, entry.policy.pick_refresh_age_seconds(random))",
        ),
        ["test_age_counts_from_when_the_fetch_was_sent"],
    ),
    Promise(
        "A value expires if the wall clock goes backwards.",
        Mutation(
            "CachedValue.age",
            "max(since.seconds, ttl_seconds) if since.backwards else since.seconds",
            "since.seconds",
        ),
        ["test_a_wall_clock_that_went_backwards_counts_as_expired"],
    ),
    Promise(
        "Serving an old value never makes it younger.",
        Mutation(
            "Cache._answer_from_memory",
            "self.counts.stale += 1",
            "self.counts.stale += 1; old = entry.held; "
            "entry.held = CachedValue(old.secret, self._clock.now(), old.received_at, old.refresh_age_seconds)",
        ),
        ["test_serving_an_old_value_never_makes_it_younger"],
    ),
    Promise(
        "An expired value is served only within `stale_while_revalidate` or `stale_if_error`, marked.",
        Mutation("Entry.is_fresh", "self.age(now) < self.policy.ttl_seconds", "self.held is not None"),
        [
            "test_time_frozen_counts_as_age",
            "test_callers_of_an_expired_secret_share_one_call",
            "test_an_expired_value_is_fetched_and_a_failing_upstream_bridged",
        ],
    ),
    Promise(
        "An expired value is served only within `stale_while_revalidate` or `stale_if_error`, marked.",
        Mutation(
            "Cache._answer_after_failure", "CacheStatus.HIT if is_fresh else CacheStatus.STALE", "CacheStatus.HIT"
        ),
        [
            "test_a_passing_failure_is_bridged_by_the_old_value",
            "test_an_expired_value_is_fetched_and_a_failing_upstream_bridged",
        ],
    ),
    # Refresh ahead.
    Promise(
        "Refreshes ahead have jitter, and no caller waits for them.",
        Mutation("FreshnessPolicy.pick_refresh_age_seconds", "0.5 + random() / 2", "1"),
        ["test_refresh_ahead_is_spread", "test_a_refresh_is_due_in_the_earlier_half_of_the_window"],
    ),
    Promise(
        "Refreshes ahead have jitter, and no caller waits for them.",
        Mutation(
            "Cache._answer",
            "if failure is None and entry.is_refresh_due(now): self._start_fetch(entry)",
            "if failure is None and entry.is_refresh_due(now): "
            "await self._answer_after_fetch(entry, CacheStatus.HIT, now, max_age_seconds)",
        ),
        ["test_refresh_ahead_serves_the_fresh_value_and_refreshes_behind_it"],
    ),
    Promise(
        "Parameters that were fetched, are due, or failed together share one call.",
        Mutation("Fetcher._fetch_round", "functools.cache(self._random)", "self._random"),
        ["test_parameters_that_came_together_are_due_together"],
    ),
    Promise(
        "Parameters that were fetched, are due, or failed together share one call.",
        Mutation("Cache._start_fetch", "self._registry.list_due_with(entry, self._clock.now())", "[]"),
        [
            "test_parameters_that_are_soon_due_are_refreshed_together",
            "test_parameters_that_have_expired_come_with_the_first_that_is_asked_for",
            "test_parameters_that_failed_together_are_asked_for_together_again",
        ],
    ),
    Promise(
        "No single calls follow a throttled or unanswered call for ten parameters.",
        Mutation("Store._yield_batch", "self._share_failure(ref, error)", "None"),
        ["test_what_may_pass_is_the_failure_of_all_ten"],
    ),
    # After a failure.
    Promise(
        "An expired value is served only within `stale_while_revalidate` or `stale_if_error`, marked.",
        Mutation("Entry.may_serve_after", "self.age(now) < self.policy.ttl_seconds + bridged", "self.held is not None"),
        ["test_a_passing_failure_is_bridged_by_the_old_value", "test_what_each_age_allows"],
    ),
    Promise(
        "No expired value hides a refusal, which counts until AWS returns the value, even after a later time-out.",
        Mutation(
            "Entry.may_serve_after",
            "isinstance(failure.error, SecretUnavailable) and self.age(now) < self.policy.ttl_seconds + bridged",
            "self.age(now) < self.policy.ttl_seconds + self.policy.stale_if_error_seconds",
        ),
        ["test_a_definite_refusal_is_never_masked_once_expired", "TestCacheAgainstModel"],
    ),
    Promise(
        "No expired value hides a refusal, which counts until AWS returns the value, even after a later time-out.",
        Mutation("Entry.may_serve_while_revalidating", "self.failure is not None and self.failure.refused", "False"),
        ["test_stale_while_revalidate_does_not_mask_a_definite_refusal"],
    ),
    Promise(
        "No expired value hides a refusal, which counts until AWS returns the value, even after a later time-out.",
        Mutation("Failure.after", "earlier is not None and earlier.refused", "False"),
        ["test_a_definite_refusal_stands_until_aws_gives_the_value_again"],
    ),
    Promise(
        "Every failure starts a back-off without calls to AWS: at most 60 s, with jitter.",
        Mutation("Failure.is_active", "since.seconds < self.backoff_seconds", "False"),
        ["test_after_a_failure_nobody_asks_for_a_while"],
    ),
    Promise(
        "Every failure starts a back-off without calls to AWS: at most 60 s, with jitter.",
        Mutation("_compute_backoff", "MAX_BACKOFF_SECONDS / (1 + JITTER)", "1e9"),
        [
            "test_after_a_failure_nobody_asks_for_a_while",
            "test_the_longest_back_off_is_at_most_a_minute_and_spread_as_any_other",
        ],
    ),
    Promise(
        "Every failure starts a back-off without calls to AWS: at most 60 s, with jitter.",
        Mutation(
            "Failure.after",
            "_compute_backoff(in_a_row) * (1 - JITTER + 2 * JITTER * random())",
            "_compute_backoff(in_a_row)",
        ),
        ["test_the_back_off_is_spread"],
    ),
    Promise(
        "Once AWS answers for one secret, those that failed with it follow within two seconds.",
        Mutation("Recovery._share", "failure.shorten(now, share, is_alone=len(failing) == 1)", "failure"),
        [
            "test_what_failed_with_it_is_asked_again_within_two_seconds",
            "test_after_an_outage_every_secret_is_back_within_two_seconds",
        ],
    ),
    Promise(
        "A secret that fails alone, or is throttled, keeps growing pauses.",
        Mutation("Failure.shorten", "min(alone, 16)", "0"),
        ["test_what_fails_alone_is_not_asked_all_the_time"],
    ),
    Promise(
        "Every failure starts a back-off without calls to AWS: at most 60 s, with jitter.",
        Mutation("Fetcher._fetch_one", "BaseException", "Exception"),
        ["test_whatever_ends_a_fetch_is_a_failure"],
    ),
    # Single flight.
    Promise(
        "Waiting callers share one call, even one longer than the ttl; one that leaves affects no other.",
        Mutation("SingleFlight.wait", "self._flights[key]", "self._flights.pop(key)"),
        ["test_callers_of_an_expired_secret_share_one_call", "test_callers_at_the_same_time_share_one_call"],
    ),
    Promise(
        "Waiting callers share one call, even one longer than the ttl; one that leaves affects no other.",
        Mutation("SingleFlight.wait", "asyncio.shield(flight)", "flight"),
        ["test_a_caller_that_goes_away_harms_no_other", "test_single_flight:test_a_caller_that_leaves_harms_no_other"],
    ),
    Promise(
        "A secret has at most one forced refresh a second.",
        Mutation("Entry.may_force_refresh", "since.backwards or since.seconds >= FORCED_INTERVAL_SECONDS", "True"),
        ["test_forced_refreshes_are_shared_and_at_most_one_a_second"],
    ),
    Promise(
        "Waiting callers share one call, even one longer than the ttl; one that leaves affects no other.",
        Mutation("CachedValue.had_expired", "max(ttl_seconds, fetch_timeout_seconds)", "ttl_seconds"),
        ["test_a_slow_fetch_is_shared_by_those_who_come_after_its_ttl"],
    ),
    # Attempts and batches.
    Promise(
        "A call broken by a freeze or an expired signature is repeated unnoticed.",
        Mutation("retry_within_budget", "was_frozen and thaws < MAX_THAWS", "False"),
        [
            "test_an_attempt_that_was_frozen_is_made_again_at_once_with_the_whole_budget",
            "test_frozen_for_longer_than_the_budget_in_the_middle_of_a_fetch",
        ],
    ),
    Promise(
        "A call broken by a freeze or an expired signature is repeated unnoticed.",
        Mutation(
            "_find_meaning",
            'cause = "AWS rejected the signature as too old or too new; check the clock"; '
            "return RetryableError(SecretUnavailable(name, code=code, cause=cause), at_once=True)",
            'cause = "AWS rejected the signature as too old or too new; check the clock"; '
            "return RetryableError(SecretUnavailable(name, code=code, cause=cause))",
        ),
        ["test_an_old_signature_or_connection_costs_no_pause"],
    ),
    Promise(
        "No attempt for a secret outlives `fetch_timeout`.",
        Mutation("retry_within_budget", "_wait_for(task, left, clock)", "_wait_for(task, math.inf, clock)"),
        ["test_an_attempt_that_hangs_ends_with_the_budget"],
    ),
    Promise(
        "A batch has at most 20 secrets; those missing from it are fetched one by one.",
        Mutation("secretsmanager:BATCH_SIZE", "20", "21"),
        ["test_above_the_limit_secrets_are_asked_for_twenty_at_a_time"],
    ),
    Promise(
        "A batch has at most 20 secrets; those missing from it are fetched one by one.",
        Mutation("Store._yield_batch", "(self._yield_single(ref, left) for ref in batch if ref not in found)", "()"),
        [
            "test_what_a_batch_refuses_is_asked_for_one_by_one",
            "test_one_secret_that_a_batch_does_not_give_concerns_only_itself",
        ],
    ),
    # What is kept, and under which name.
    Promise(
        "At most 1,000 unlisted entries are kept; the least recently used goes first.",
        Mutation(
            "Registry._drop_least_used", "len(self._unlisted) + len(self._valueless) > self._max_unlisted", "False"
        ),
        [
            "test_unlisted_entries_are_bounded_and_the_least_recently_used_goes_first",
            "test_a_thousand_names_besides_the_listed_ones_are_kept",
        ],
    ),
    Promise(
        "Only listed and allowed names are fetched.",
        Mutation("Registry.find_by_name", "not self._allows(name)", "False"),
        ["test_a_name_that_is_neither_listed_nor_allowed"],
    ),
    Promise(
        "Secrets of one name in two accounts are never confused.",
        Mutation("Registry._find_learned", "first if first in having else None", "next(iter(having), None)"),
        ["test_one_name_in_two_accounts_belongs_to_the_first_listed"],
    ),
)

HTTP = (
    # Who is answered.
    Promise(
        "The server listens on loopback only.",
        Mutation("bind", '"127.0.0.1"', '"0.0.0.0"'),
        ["test_both_loopbacks_listen_on_one_port_and_nothing_else_does"],
    ),
    Promise(
        "Requests forwarded, for another host or from a web page get no secret.",
        Mutation("FORWARDING_HEADERS", '("X-Forwarded-For", "Forwarded", "Via")', "()"),
        ["test_forwarded_requests_are_refused"],
    ),
    Promise(
        "Requests forwarded, for another host or from a web page get no secret.",
        Mutation("find_refusal", "not is_local(request.hosts[0])", "False"),
        ["test_a_request_for_another_host_is_refused"],
    ),
    Promise(
        "Requests forwarded, for another host or from a web page get no secret.",
        Mutation("find_refusal", "request.origins", "()"),
        ["test_what_a_page_in_a_browser_asks_is_refused"],
    ),
    Promise(
        "The first listener never serves what the second fetched on demand.",
        Mutation("Registry.learn", "self._allows(ref.secret_id)", "True"),
        ["test_anything_shares_what_is_listed_under_its_id"],
    ),
    Promise(
        "A configured token is needed except for `/ping`, and compared in constant time.",
        Mutation("NativeHandler._handle", "self._tokens is not None", "self._tokens"),
        ["test_without_a_token_that_can_be_right_nobody_is_served"],
    ),
    Promise(
        "A configured token is needed except for `/ping`, and compared in constant time.",
        Mutation(
            "accepts_token",
            'hmac.compare_digest(given, token.encode("utf-8", "surrogateescape"))',
            "given == token.encode()",
        ),
        ["test_a_guess_is_compared_with_every_token_in_constant_time"],
    ),
    Promise(
        "Unknown parameters are refused.",
        Mutation("parse_native_request", "name not in PARAMETERS", "False"),
        ["test_requests_that_cannot_be_meant"],
    ),
    # What is answered.
    Promise(
        "Callers that never read take bounded memory; so do remembered responses.",
        Mutation("_Connection._regulate_reading", "self._is_writing_paused or self._waiting", "self._waiting"),
        ["test_a_caller_that_never_reads_costs_a_bounded_amount_of_memory"],
    ),
    Promise(
        "Callers that never read take bounded memory; so do remembered responses.",
        Mutation(
            "RememberedResponses.remember",
            "len(self._responses) >= MAX_RESPONSES or self._bytes + size > MAX_BYTES",
            "len(self._responses) >= MAX_RESPONSES",
        ),
        ["test_the_bytes_of_what_is_remembered_are_bounded"],
    ),
    Promise(
        "A stopping `serve` tells callers to close their connections.",
        Mutation("_Connection._respond", "is_last or self._listener.is_draining", "is_last"),
        ["test_a_caller_that_keeps_its_connection_loses_no_request"],
    ),
    Promise(
        "Values arrive byte for byte.",
        Mutation(
            "represent",
            "Representation(JSON if is_document(secret.value.decode()) else TEXT, secret.value)",
            "Representation(JSON if is_document(secret.value.decode()) else TEXT, secret.value.strip())",
        ),
        ["test_values_arrive_byte_for_byte"],
    ),
    Promise(
        "No other cache may store an answer.",
        Mutation("build_headers", '"no-store"', '"max-age=600"'),
        ["test_an_answer_says_which_version_how_old_and_where_from"],
    ),
    Promise(
        "`Date` is when AWS returned the value.",
        Mutation("build_headers", "format_http_date(held.received_at)", "format_http_date(held.sent.wall)"),
        ["test_date_says_when_the_value_was_had"],
    ),
    Promise(
        "`/health` is 200 only when every listed secret can be served.",
        Mutation("NativeHandler._report_health", "is_servable and not found", "not found"),
        ["test_health_is_degraded_by_stale_values_and_failing_without_any"],
    ),
    Promise(
        "Errors 503 and 504 have `Retry-After`.",
        Mutation("build_error_response", "isinstance(error, SecretUnavailable)", "False"),
        ["test_retry_after_says_when_there_will_be_another_try"],
    ),
    Promise(
        "An internal error reveals nothing of its cause.",
        Mutation(
            "Handler.handle",
            "response = self._build_failure_response()",
            'response = self._build_failure_response(); response.body = str(error).encode("utf-8", "replace")',
        ),
        ["test_an_error_shows_nothing_of_its_cause"],
    ),
    # When.
    Promise(
        "An early request waits for the first fetch.",
        Mutation("Cache.get", "self.start_prefetch()", "pass"),
        ["test_the_first_request_starts_the_prefetch_if_nobody_did"],
    ),
    Promise(
        "A new version is served from the moment it arrives.",
        Mutation("RememberedResponses.recall", "self._generation != self._cache.generation", "False"),
        ["test_a_new_version_is_served_from_the_moment_it_is_there"],
    ),
    Promise(
        "A flood of connections closes none that awaits an answer; other callers are served.",
        Mutation("Listener.mark_busy", "self._idle.pop(connection, None)", "pass"),
        ["test_a_connection_that_waits_for_an_answer_is_never_ended"],
    ),
    Promise(
        "A flood of connections closes none that awaits an answer; other callers are served.",
        Mutation("Listener._accept", "min(at_most, self._max_connections - self._open)", "self._max_connections"),
        ["test_a_caller_that_connects_without_end_leaves_the_others_their_turn"],
    ),
)

PROCESS = (
    # From start to end.
    Promise(
        "The extension registers for SHUTDOWN only, so no invocation waits for it.",
        Mutation("ExtensionsApi.register", 'b\'{"events":["SHUTDOWN"]}\'', 'b\'{"events":["INVOKE","SHUTDOWN"]}\''),
        ["test_registering_is_for_shutdown_only_under_the_files_name"],
    ),
    Promise(
        "The port is open before the registration, and nothing slow is imported until then.",
        Mutation(
            "Startup.bind_and_register",
            "self._bind()",
            "run_exchange(api.register()); self.registered_at = time.monotonic(); self._bind()",
        ),
        ["test_the_port_is_open_when_the_registration_arrives"],
    ),
    Promise(
        "The port is open before the registration, and nothing slow is imported until then.",
        Mutation("MAX_RETRY_SECONDS", "60.0", '__import__("json") and 60.0'),
        ["test_nothing_heavy_is_imported_before_the_registration"],
    ),
    Promise(
        "The init phase waits at most 2 s for secrets, except in strict mode.",
        Mutation("Lifecycle._wait_for_prefetch", "None if is_required else seconds_left", "None"),
        ["test_a_prefetch_that_hangs_does_not_hold_the_init"],
    ),
    Promise(
        "Under SnapStart nothing is fetched before the first request.",
        Mutation("is_snapstart", 'environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"', "False"),
        [
            "test_under_snapstart_nothing_is_fetched_before_the_first_request",
            "test_under_snapstart_it_is_ready_without_having_fetched",
        ],
    ),
    Promise(
        "`/event/next` has no time-out; each failure doubles the pause before the next try.",
        Mutation("ExtensionsApi._call", "path != NEXT", "True"),
        ["test_the_next_event_has_no_time_out"],
    ),
    Promise(
        "`/event/next` has no time-out; each failure doubles the pause before the next try.",
        Mutation("ExtensionsApi.wait_for_shutdown", "min(pause * 2, MAX_RETRY_SECONDS)", "first_pause"),
        ["test_the_pause_between_two_tries_doubles"],
    ),
    Promise(
        "Whatever fails, the process stays until SHUTDOWN, except in strict mode.",
        Mutation("extension.start:run", "_run_fallback(api, startup)", "return 1"),
        [
            "test_what_cannot_be_imported_leaves_the_fallback",
            "test_a_server_that_cannot_start_leaves_the_fallback",
        ],
    ),
    Promise(
        "After SHUTDOWN the process ends at once, whatever still runs.",
        Mutation("extension.start:main", "os._exit(code)", "sys.exit(code)"),
        ["test_a_thread_that_hangs_does_not_hold_the_end"],
    ),
    Promise(
        "Only SIGTERM, SIGINT and SIGKILL end the process; a closed terminal ends `serve`.",
        Mutation("survive_signals", "_signal.SIG_IGN if number in FAULTS else note", "_signal.SIG_DFL"),
        ["test_no_other_signal_ends_the_extension", "test_no_other_signal_ends_serve"],
    ),
    Promise(
        "`serve` ends within its grace period, even if a thread hangs.",
        Mutation("serve:run", "os._exit(code)", "sys.exit(code)"),
        ["test_serve_ends_at_once_where_nobody_waits_for_an_answer"],
    ),
    Promise(
        "`API_TIMEOUT` bounds the exec wrapper, even if the extension hangs.",
        Mutation(
            "wrapper:_exchange",
            "max(moment - time.monotonic(), 0.001)",
            "EXTENSION_SECONDS",
        ),
        ["test_an_extension_that_is_stopped_holds_the_wrapper_for_api_timeout_only"],
    ),
    # Meanwhile.
    Promise(
        "Credentials are renewed when botocore would, by one request; expired or rotated ones at once.",
        Mutation("SignedCalls.make", "not self._provider.reject(credentials)", "True"),
        ["test_container_credentials_that_expired_are_asked_for_again"],
    ),
    Promise(
        "Credentials are renewed when botocore would, by one request; expired or rotated ones at once.",
        Mutation("RenewedCredentials._get_valid", "left < ADVISORY_SECONDS", "left < 0"),
        ["test_they_are_renewed_when_botocore_renews_them", "test_many_callers_cause_one_request"],
    ),
    Promise(
        "Credentials are renewed when botocore would, by one request; expired or rotated ones at once.",
        Mutation("SignedCalls.make", "newer == credentials", "True"),
        ["test_credentials_that_were_rotated_are_read_again_at_once"],
    ),
    Promise(
        "The timer needs no requests, and survives any error.",
        Mutation("refresh_when_due", "cache.refresh_due()", "pass"),
        ["test_a_refresh_comes_by_itself_before_the_value_expires", "test_the_timer_survives_an_error_of_ours"],
    ),
    # What shows.
    Promise(
        "At INFO, a refresh is logged only after a change or a failure.",
        Mutation("Fetcher._keep_value", "logging.INFO if changed or recovered else logging.DEBUG", "logging.INFO"),
        ["test_only_what_matters_is_logged_at_info"],
    ),
    Promise(
        "No metric names a secret unless configured.",
        Mutation("Emf.write", "self._by_secret", "True"),
        ["test_no_line_names_a_secret_unless_asked_for"],
    ),
    Promise(
        "No Python `repr` shows a value.",
        Mutation("Confidential.__repr__", "name != self.HIDDEN", "True"),
        ["test_repr_shows_everything_but_the_value"],
    ),
    Promise(
        "Unexpected errors are logged by type and place only.",
        Mutation(
            "describe_error",
            '{"error": type(error).__name__, "at": place}',
            '{"error": type(error).__name__, "at": place, "text": str(error)}',
        ),
        ["test_of_an_error_only_type_and_place_show"],
    ),
    Promise(
        "A full log pipe delays no caller.",
        Mutation("_StandardOutput._write", "not _is_writable(0 if self._dropped else FULL_PIPE_MILLISECONDS)", "False"),
        ["test_a_pipe_that_nobody_empties_is_not_waited_for"],
    ),
    Promise(
        "Only root can read the process's memory, and no core dump is written.",
        Mutation("set_limits", "_make_undumpable()", "pass"),
        ["test_the_functions_own_code_cannot_look_into_the_extension"],
    ),
    Promise(
        "Only root can read the process's memory, and no core dump is written.",
        Mutation("set_limits", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))", "pass"),
        ["test_a_server_that_cannot_start_leaves_the_fallback"],
    ),
)

PARTS = {"Cache": CACHE, "HTTP": HTTP, "Process": PROCESS}
PROMISES = [promise for part in PARTS.values() for promise in part]


def table() -> str:
    """Return the promises as the lists of docs/reliability.md."""
    texts = {part: dict.fromkeys(promise.text for promise in promises) for part, promises in PARTS.items()}
    return "\n".join(f"{part}:\n\n" + "".join(f"- {text}\n" for text in texts[part]) for part in PARTS)
