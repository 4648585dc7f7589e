"""Numbers with their intervals.

How often a 95 % interval holds the truth, of 1,000 samples each (python -m tests.campaigns.coverage): for networks of
areas of 0.90 and, to compare, 0.80 and, behind the stroke, of 0.998 and 0.983; of so many rows, alone or in groups.

                     20         20 in 10   60         60 in 12   300        300 in 30
accuracy             0.97/0.91  0.99/0.92  0.93/0.96  0.96/0.96  0.95/0.95  0.96/0.97
sensitivity          0.98/0.98  0.97/0.98  0.95/0.97  0.97/0.98  0.95/0.98  0.95/0.98
specificity          0.98/0.99  0.98/0.97  0.94/0.97  0.97/0.96  0.96/0.98  0.95/0.98
auc                  0.97/0.97  0.98/0.98  0.95/0.98  0.95/0.98  0.95/0.91  0.95/0.91
bce                  0.95/0.91  0.93/0.89  0.95/0.94  0.94/0.93  0.95/0.95  0.95/0.93
mse                  0.97/0.89  0.95/0.87  0.96/0.94  0.95/0.93  0.95/0.96  0.96/0.94
ppv                  0.96/0.99  0.98/0.97  0.95/0.97  0.97/0.97  0.95/0.98  0.96/0.98
npv                  0.96/0.98  0.98/0.98  0.95/0.97  0.96/0.98  0.95/0.98  0.95/0.98
accuracy difference  0.98/1.00  0.93/0.99  0.95/0.98  0.95/0.96  0.96/0.95  0.95/0.95
auc difference       0.97/1.00  0.99/1.00  0.96/0.98  0.96/0.98  0.95/0.94  0.95/0.95
bce difference       0.92/0.88  0.92/0.87  0.94/0.91  0.93/0.91  0.95/0.95  0.95/0.94
mse difference       0.93/0.85  0.93/0.86  0.95/0.92  0.95/0.91  0.96/0.95  0.94/0.95

Outside 0.92 to 0.985, near the end: mean losses of 20 rows and their differences of 20 and 60, because the rare large
losses that make the mean are in few samples; the area of 300, because few pairs decide; shares of 20, whose values are
few. Differences in accuracy and area of 20 rows are careful there, because most samples show none.
"""

from project.evaluation.metrics import evaluate

__all__ = ["evaluate"]
