"""Draws the pages of a printed report side by side, as paper would show them.

python picture_of_print.py PRINT.pdf PICTURE.png; needs PyQt6 alone, whose Qt has a PDF reader.
"""

from __future__ import annotations

import sys

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QColor, QImage, QPainter
from PyQt6.QtPdf import QPdfDocument
from PyQt6.QtWidgets import QApplication

PIXELS_PER_POINT = 1.5
GAP = 24


def main() -> None:
    """Read, draw, save."""
    source, target = sys.argv[1:]
    app = QApplication(sys.argv[:1])
    document = QPdfDocument(app)
    if document.load(source) != QPdfDocument.Error.None_:
        sys.exit(f"cannot read '{source}': it is no PDF.")
    pages = []
    for number in range(document.pageCount()):
        points = document.pagePointSize(number)
        size = QSize(
            round(points.width() * PIXELS_PER_POINT), round(points.height() * PIXELS_PER_POINT)
        )
        pages.append(document.render(number, size))
    width = sum(page.width() for page in pages) + GAP * (len(pages) - 1)
    picture = QImage(width, max(page.height() for page in pages), QImage.Format.Format_RGB32)
    picture.fill(QColor("#9a9a9a"))
    painter, left = QPainter(picture), 0
    for page in pages:
        painter.fillRect(left, 0, page.width(), page.height(), QColor("white"))
        painter.drawImage(left, 0, page)
        left += page.width() + GAP
    painter.end()
    picture.save(target)


if __name__ == "__main__":
    main()
