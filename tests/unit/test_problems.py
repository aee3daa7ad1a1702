"""Refusals of the API: one shape, every kind with its status, remedy and headers."""

from schemas.problems import KINDS, headers, problem


class TestProblems:
    def test_every_kind_has_what_a_client_needs(self) -> None:
        for name, kind in KINDS.items():
            document = problem(kind.name, "what happened")
            assert document.type == f"/problems/{name}"
            assert document.status == kind.status
            assert document.remedy == kind.remedy
            assert headers(document)["Content-Type"] == "application/problem+json"
            assert ("Retry-After" in headers(document)) is (kind.status == 503)

    def test_members_that_say_nothing_are_left_out(self) -> None:
        assert set(problem("not_found", "no INC-9").document()) == {"type", "title", "status", "detail", "remedy"}

    def test_a_401_says_how_to_authenticate(self) -> None:
        assert headers(problem("unauthenticated", "no token"))["WWW-Authenticate"] == 'Bearer realm="tocsin"'
