"""Student's t distribution against SciPy's."""

import pytest
import scipy.stats

from project.evaluation.student import student_t, two_sided


def test_students_t() -> None:
    for freedom in (1, 2, 3, 4.5, 9, 29, 1000, 10**6):
        for share in (0.6, 0.9, 0.975, 0.9875, 0.995, 0.999999):
            assert student_t(share, freedom) == pytest.approx(scipy.stats.t.ppf(share, freedom), rel=1e-9)
        for statistic in (0, 0.5, 1.96, 2.262, 4, 10):
            expected = 2 * scipy.stats.t.sf(statistic, freedom)
            assert two_sided(statistic, freedom) == two_sided(-statistic, freedom) == pytest.approx(expected, rel=1e-11)
