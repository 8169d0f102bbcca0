"""Small files of the formats that have to be made by a program."""
from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any


def pdf(*pages: str, title: str = "", locked: bool = False) -> bytes:
    """A PDF with a text on each page, one line of it for each of the text's."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
               f"<< /Title ({title}) /Author (Ada) >>"]
    kids = []
    for text in pages:
        lines = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").split("\n")
        drawn = "BT /F1 12 Tf 72 720 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines if line) + " ET"
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R "
                       "/Resources << /Font << /F1 3 0 R >> >> >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    lock = ""
    if locked:
        objects.append(f"<< /Filter /Standard /V 1 /R 2 /O <{'5a' * 32}> /U <{'6b' * 32}> /P -4 >>")
        lock = f" /Encrypt {len(objects)} 0 R /ID [<{'7c' * 16}> <{'7c' * 16}>]"
    out, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{each}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    tail = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R /Info 4 0 R{lock} >>\n"
    return out + f"{tail}startxref\n{len(out)}\n%%EOF\n".encode()


def docx(body: str, core: str = "", more: Mapping[str, bytes] | None = None) -> bytes:
    """A DOCX with this body, in WordprocessingML, and styles by the names that Word gives them."""
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    names = {"Heading1": "heading 1", "Heading2": "heading 2", "Chapter": "Chapter", "ListBullet": "List Bullet"}
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/>'
        + ('<w:basedOn w:val="Heading1"/>' if key == "Chapter" else "") + "</w:style>" for key, name in names.items())
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    related = f'<Relationship Id="r1" Type="{office}/officeDocument" Target="word/document.xml"/>'
    types = (f'<Override PartName="/word/document.xml" ContentType="{word}.document.main+xml"/>'
             f'<Override PartName="/word/styles.xml" ContentType="{word}.styles+xml"/>')
    files = {
        "word/document.xml": f"<w:document {namespace}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {namespace}>{styles}</w:styles>",
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
                                        f'Type="{office}/styles" Target="styles.xml"/></Relationships>',
    }
    if core:
        related += (f'<Relationship Id="r2" Type="{package}/relationships/metadata/core-properties" '
                    'Target="docProps/core.xml"/>')
        types += ('<Override PartName="/docProps/core.xml" '
                  'ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>')
        files["docProps/core.xml"] = (
            f'<cp:coreProperties xmlns:cp="{package}/metadata/core-properties" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
            f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{core}</cp:coreProperties>')
    files["_rels/.rels"] = f'<Relationships xmlns="{package}/relationships">{related}</Relationships>'
    files["[Content_Types].xml"] = (
        f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        f'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>{types}</Types>')
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text.encode(), zipfile.ZIP_DEFLATED)
        for name, data in (more or {}).items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def words(*texts: str, style: str = "") -> str:
    """Paragraphs of a DOCX, in one style."""
    kind = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return "".join(f"<w:p>{kind}<w:r><w:t>{text}</w:t></w:r></w:p>" for text in texts)


def cells(*rows: Sequence[str]) -> str:
    """A table of a DOCX."""
    return "<w:tbl>" + "".join(
        "<w:tr>" + "".join(f"<w:tc>{words(cell)}</w:tc>" for cell in row) + "</w:tr>" for row in rows) + "</w:tbl>"


def parquet(rows: Sequence[Mapping[str, Any]], group: int = 100) -> bytes:
    """A Parquet file with groups of so many rows."""
    import pyarrow
    import pyarrow.parquet

    out = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), out, row_group_size=group)
    return bytes(out.getvalue())
