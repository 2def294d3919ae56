"""A program that works for a few seconds and then crashes."""

import time

print("working")
time.sleep(6)
raise RuntimeError("this is the crash that Circus repairs")
