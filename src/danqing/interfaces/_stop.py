"""Whether the person asked to stop.

Ctrl-C raises KeyboardInterrupt wherever the program is, and Python swallows it in a finaliser, or a C library makes
another error of it. So it is noted here as well, and the next step looks.
"""

import threading

asked = threading.Event()
