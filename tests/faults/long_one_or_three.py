"""The rest of a thousand histories, see `test_one_or_three.py`. Run by `make test-faults`."""

import pytest

from tests.faults.test_one_or_three import same


@pytest.mark.usefixtures("haste")
@pytest.mark.timeout(900)
def test_the_same_people_are_paged_in_the_rest_of_a_thousand_histories() -> None:
    same(range(250, 1000))
