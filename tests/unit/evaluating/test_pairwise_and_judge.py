import http.server
import threading
import time
from collections import Counter

import numpy as np
import pytest

from evaluation.endpoint import Endpoint
from evaluation.errors import JudgeError
from evaluation.generations import Ensemble, Generation
from evaluation.judge import JudgeRanker, parse_verdict
from evaluation.pairwise import rank_ensembles
from scoring.pairwise import Strength
from tests.unit.evaluating.fake_judge import FakeJudge, Handler, longer, parts

KEY = "a-secret-key"
SECRET = "a secret prompt"
NO_CHOICE = b'{"choices": []}'
CUT = b'{"choices": [{"message": {"content": "A"}}]'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def serve():
    running = []

    def start(reply):
        judge = FakeJudge(reply)
        thread = threading.Thread(target=judge.serve_forever, args=(0.01,))
        thread.start()
        running.append((judge, thread))
        return judge

    yield start
    for judge, thread in running:
        judge.shutdown()
        thread.join()
        judge.server_close()


def ranker(judge, *, waits=None, **options):
    endpoint = {
        name: options.pop(name) for name in ("attempts", "timeout", "wait") if name in options
    }
    told = [] if waits is None else waits
    endpoint.setdefault("wait", lambda _, seconds: told.append(seconds))
    return JudgeRanker(Endpoint(judge.url, KEY, **endpoint), "judge", **options)


def test_both_orders_are_asked_at_no_temperature_and_with_the_key(serve):
    judge = serve(longer)
    with ranker(judge, max_tokens=3) as asked:
        wins = asked.compare("why?", ["aaa", "a", "aa"])
        assert wins.tolist() == [[0.5, 1, 1], [0, 0.5, 0], [0, 1, 0.5]]
        assert (asked.counts.asked, asked.counts.unreadable) == (6, 0)
    orders = Counter(parts(body["messages"][0]["content"]) for _, _, body in judge.asked)
    assert len(orders) == 6
    assert set(orders.values()) == {1}
    path, key, body = judge.asked[0]
    assert (path, key) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("judge", 0, 3)
    assert "why?" in body["messages"][0]["content"]


def test_a_judge_that_always_takes_the_first_has_no_say(serve):
    with ranker(serve(lambda *_: "A")) as asked:
        assert asked.compare("p", ["x", "y", "z"]).tolist() == [[0.5] * 3] * 3


def test_equal_answers_are_not_asked_about(serve):
    judge = serve(longer)
    with ranker(judge) as asked:
        wins = asked.compare("p", ["aa", "a", "aa"])
        assert asked.compare("p", ["a"]).tolist() == [[0.5]]
    assert wins.tolist() == [[0.5, 1, 0.5], [0, 0.5, 0], [0.5, 1, 0.5]]
    assert len(judge.asked) == 2


def test_a_reply_that_is_not_one_letter_is_half_a_draw_and_counted(serve):
    def reply(question, _):
        return "A" if parts(question)[0] == "x" else "I can't say; both are fine."

    with ranker(serve(reply)) as asked:
        assert asked.compare("p", ["x", "y"]).tolist() == [[0.5, 0.75], [0.25, 0.5]]
        assert (asked.counts.asked, asked.counts.unreadable) == (2, 1)


READ = {"A": 1.0, " B\n": 0.0, "**A**": 1.0, '"B".': 0.0, "(A)": 1.0}
NOT_READ = ("", "a", "AB", "A or B", "Answer A", "C", "B2", "A, since it is right", "\u0410", "_A_")


@pytest.mark.parametrize(
    ("reply", "verdict"), [*READ.items(), *((each, None) for each in NOT_READ)]
)
def test_verdicts_are_read_strictly(reply, verdict):
    assert parse_verdict(reply) == verdict


def test_a_reply_without_text_is_unreadable(serve):
    content = b'{"choices": [{"message": {"content": null}}]}'
    with ranker(serve(lambda *_: (200, {}, content))) as asked:
        assert asked.compare("p", ["x", "y"])[0, 1] == 0.5
        assert asked.counts.unreadable == 2


@pytest.mark.parametrize(
    ("status", "content"),
    [(429, b""), (500, b"oh"), (503, b""), (200, b"<html>"), (200, NO_CHOICE), (200, b"[1]"),
     (200, CUT)],
)  # fmt: skip
def test_what_passes_is_tried_again(serve, status, content):
    seen = Counter()

    def reply(question, place):
        seen[question] += 1
        return (status, {}, content) if seen[question] <= 2 else longer(question, place)

    waits = []
    with ranker(serve(reply), waits=waits) as asked:
        assert asked.compare("p", ["aa", "a"]).tolist() == [[0.5, 1], [0, 0.5]]
    assert len(waits) == 4
    assert all(0.5 <= wait <= 3 for wait in waits)
    assert max(waits) >= 1  # the second wait is about twice the first


@pytest.mark.parametrize(
    ("header", "least"), [("7", 7), ("9999", 60), ("Fri, 01 Jan 2100 00:00:00 GMT", 0.5)]
)
def test_a_server_that_says_when_is_heeded_within_reason(serve, header, least):
    trouble, waits = (429, {"Retry-After": header}, b""), []
    with (
        ranker(serve(lambda *_: trouble), waits=waits, attempts=2) as asked,
        pytest.raises(JudgeError, match="failed 2 times, at last with HTTP status 429"),
    ):
        asked.compare("p", ["x", "y"])
    assert waits
    assert all(least <= wait <= 60 for wait in waits)


@pytest.mark.parametrize(("status", "times"), [(400, 1), (401, 1), (404, 1), (302, 1), (500, 3)])
def test_an_error_says_what_and_where_and_nothing_of_what_was_asked(serve, status, times):
    judge = serve(lambda question, _: (status, {"Location": "/elsewhere"}, question.encode()))
    with ranker(judge, attempts=3, concurrency=1) as asked:
        with pytest.raises(JudgeError, match=f"HTTP status {status}") as caught:
            asked.compare(SECRET, [SECRET, "y"])
        shown = repr(asked)
    assert f"127.0.0.1:{judge.server_address[1]}" in str(caught.value)
    for hidden in (SECRET, KEY):
        assert hidden not in str(caught.value) + shown + repr(Endpoint(judge.url, KEY))
    questions = Counter(body["messages"][0]["content"] for _, _, body in judge.asked)
    assert max(questions.values()) == times
    assert {path for path, _, _ in judge.asked} == {"/v1/chat/completions"}


def test_a_silent_server_is_not_waited_for_for_ever(serve):
    released = threading.Event()

    def reply(*_):
        released.wait(30)
        return "A"

    with (
        ranker(serve(reply), timeout=0.05, attempts=2) as asked,
        pytest.raises(JudgeError, match="failed 2 times, at last with TimeoutError"),
    ):
        asked.compare("p", ["x", "y"])
    released.set()


def test_nobody_there_is_an_error_of_the_judge():
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    server.server_close()
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", attempts=2, wait=lambda *_: None)
    refused = "failed 2 times, at last with ConnectionRefusedError"
    with JudgeRanker(endpoint, "m") as asked, pytest.raises(JudgeError, match=refused):
        asked.compare("p", ["x", "y"])


def test_no_more_questions_at_a_time_than_were_allowed(serve):
    def reply(question, place):
        time.sleep(0.01)
        return longer(question, place)

    judge = serve(reply)
    ensembles = [ensemble(str(row), "a", "aa", "aaa") for row in range(6)]
    with ranker(judge, concurrency=3) as asked:
        rankings = rank_ensembles(asked, ensembles)
    assert [each.best for each in rankings] == [2] * 6
    assert 1 < judge.most_together <= 3


def test_a_url_may_name_the_method_and_a_key_may_be_absent(serve):
    judge = serve(longer)
    with JudgeRanker(Endpoint(judge.url + "/chat/completions/"), "m") as asked:
        asked.compare("p", ["x", "yy"])
    assert {(path, key) for path, key, _ in judge.asked} == {("/v1/chat/completions", None)}


@pytest.mark.parametrize(
    "url",
    ["", "judge:8000", "ftp://x/v1", "file:///etc/passwd", "http://", "http://x:port/v1",
     "http://x/v 1", "http://x/\u00e9", "http://x/v1\n"],
)  # fmt: skip
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(JudgeError, match="is not a URL of HTTP"):
        Endpoint(url)


@pytest.mark.parametrize("fields", [{"timeout": 0}, {"attempts": 0}, {"patience": -1}])
def test_numbers_out_of_range_are_refused(fields):
    with pytest.raises(JudgeError, match="timeout above 0"):
        Endpoint("http://x/v1", **fields)


@pytest.mark.parametrize("key", ["a-secret\n", "a-secret\u20ac", "a-secret\x00"])
def test_a_key_that_no_header_may_have_is_refused_and_not_shown(key):
    with pytest.raises(JudgeError, match="key holds") as caught:
        Endpoint("http://x/v1", key)
    assert "a-secret" not in str(caught.value)


def test_one_failure_ends_the_waits_of_all_and_is_what_is_told(serve):
    waiting = threading.Event()

    def reply(question, _):
        if parts(question)[0] == "x":
            return (503, {"Retry-After": "60"}, b"")
        waiting.wait(30)
        return (401, {}, b"")

    def wait(given_up, seconds):
        waiting.set()
        return given_up.wait(seconds)

    judge = serve(reply)
    with ranker(judge, wait=wait) as asked:
        for _ in range(2):
            with pytest.raises(JudgeError, match="refuses with HTTP status 401"):
                asked.compare("p", ["x", "y"])
    assert len(judge.asked) == 2


def test_a_judge_that_is_closed_waits_no_longer(serve):
    waiting, failed = threading.Event(), []

    def wait(given_up, seconds):
        waiting.set()
        return given_up.wait(seconds)

    def compare():
        try:
            asked.compare("p", ["x", "y"])
        except JudgeError as error:
            failed.append(str(error))

    judge = serve(lambda *_: (503, {"Retry-After": "60"}, b""))
    with ranker(judge, wait=wait, concurrency=2) as asked:
        thread = threading.Thread(target=compare)
        thread.start()
        assert waiting.wait(30)
    thread.join(30)
    assert not thread.is_alive()
    assert len(failed) == 1
    assert "make another" in failed[0]
    assert len(judge.asked) <= 2
    with pytest.raises(JudgeError, match="make another"):
        asked.compare("p", ["x", "y"])


@pytest.mark.parametrize(
    ("model", "options"), [("", {}), ("m", {"concurrency": 0}), ("m", {"max_tokens": 0})]
)
def test_a_judge_out_of_range_is_refused(model, options):
    with pytest.raises(JudgeError):
        JudgeRanker(Endpoint("http://x/v1"), model, **options)


class Longest:
    """Whoever is longer wins, by more the longer it is."""

    def __init__(self, concurrency=1, fails=""):
        self.concurrency = concurrency
        self.fails = fails
        self.compared = []
        self.workers = set()

    def compare(self, prompt, answers):
        self.compared.append(prompt)
        self.workers.add(threading.current_thread())
        if prompt == self.fails:
            raise JudgeError("It is tired.")
        lengths = np.array([len(answer) for answer in answers], float)
        return 1 / (1 + np.exp(lengths[None, :] - lengths[:, None]))


def ensemble(prompt, *texts):
    return Ensemble(prompt, tuple(Generation(f"v{i}", text) for i, text in enumerate(texts)))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_ensembles_are_ranked_in_their_order(concurrency):
    ensembles = [ensemble("p", "a", "aaa", "aa"), ensemble("q", "b"), ensemble("r", "cc", "cc")]
    told = []
    longest = Longest(concurrency)
    rankings = rank_ensembles(longest, ensembles, lambda *done: told.append(done))
    assert [each.order.tolist() for each in rankings] == [[1, 2, 0], [0], [0, 1]]
    assert [each.best for each in rankings] == [1, 0, 0]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(longest.workers) <= concurrency
    assert rank_ensembles(longest, []) == ()


def test_ensembles_may_be_ranked_by_logits():
    (ranking,) = rank_ensembles(Longest(), [ensemble("p", "a", "aaa")], strength=Strength.LOGITS)
    assert ranking.strengths.tolist() == pytest.approx([-2, 2])


def test_an_interruption_does_not_wait_for_what_is_being_compared():
    released, finished = threading.Event(), []

    class Slow(Longest):
        def compare(self, prompt, answers):
            if prompt != "0":
                released.wait(30)
                finished.append(prompt)
            return super().compare(prompt, answers)

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank_ensembles(Slow(4), [ensemble(str(row), "a", "b") for row in range(9)], interrupted)
    assert not finished
    released.set()


def test_a_failure_gives_up_what_has_not_begun():
    released = threading.Event()

    class Held(Longest):
        def compare(self, prompt, answers):
            strengths = super().compare(prompt, answers)
            if prompt == "2":  # the worker may take it before the failure is told
                released.wait(30)
            return strengths

    held = Held(fails="1")
    with pytest.raises(JudgeError, match="tired"):
        rank_ensembles(held, [ensemble(str(row), "a", "b") for row in range(9)])
    released.set()
    (worker,) = held.workers
    worker.join(30)
    assert held.compared in (["0", "1"], ["0", "1", "2"])
