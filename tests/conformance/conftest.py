import pytest

# the suites are imported by the tests, and would otherwise fail with a bare "AssertionError"
pytest.register_assert_rewrite("conformance")
