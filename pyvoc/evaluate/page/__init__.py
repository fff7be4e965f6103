"""A page on which several systems can be heard, seen and compared in a browser.

>>> from pyvoc.evaluate.page import Clip, Rendition, write_page
>>> clip = Clip("greeting", (Rendition("voice a", a, 16000), Rendition("voice b", b, 24000)))
>>> write_page("out/index.html", [clip], title="Two voices")
"""

from __future__ import annotations

from pyvoc.evaluate.page.writer import Clip, Rendition, write_page

__all__ = ["Clip", "Rendition", "write_page"]
