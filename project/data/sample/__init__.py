"""The shipped sample: where ten English vowels lie on the vowel chart, tense corners against lax centre.

Peterson and Barney (1952), "Control methods used in a study of the vowels", J. Acoust. Soc. Am. 24, 175-184:
76 speakers (33 men, 28 women, 15 children) say ten vowels twice each. ``class_0.npy`` holds the 760 utterances of the
peripheral vowels (i, ae, a, o, u), ``class_1.npy`` the 760 of the central ones (the vowels of bit, bet, but, book and
bird), each (760, 2) float64: the first two formants F1 and F2 in Hz, ordered by speaker, then vowel. One class encloses
the other, so a straight line cannot part them; 12 points occur in both, so nothing can part them entirely.

``group_0.npy`` and ``group_1.npy`` number the speakers from 0, who have ten rows of either class each.
"""

from pathlib import Path

ROOT = Path(__file__).parent
FEATURE_NAMES = ["F1 (Hz)", "F2 (Hz)"]
CLASS_NAMES = ["peripheral vowel", "central vowel"]
GROUP_NAME = "speakers"
PLACE = "the shipped sample"  # what is said of where it is
