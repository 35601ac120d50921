"""What a compressed picture's stream may carry besides the picture, and that the picture stays the same."""

import io

import numpy as np
import pytest
from PIL import Image
from planted import again, bytes_of, planted
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGBaseline8Bit

from client.deidentify import deidentify
from client.deidentify.streams import without_comments

PICTURE = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)


def jpeg(**more):
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG", **more)
    return stream.getvalue()


def jpeg2000(**more):
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG2000", no_jp2=True, **more)
    return stream.getvalue()


def same(one, other):
    return np.array_equal(np.asarray(Image.open(io.BytesIO(one))), np.asarray(Image.open(io.BytesIO(other))))


@pytest.mark.parametrize("progressive", [False, True])
def test_comments_and_exif_leave_a_jpeg(progressive):
    exif = Image.Exif()
    exif[0x010E] = "Quixotte"
    stream = jpeg(comment=b"Dulcinea", exif=exif, progressive=progressive)
    assert b"Dulcinea" in stream
    assert b"Quixotte" in stream
    cleaned = without_comments(stream + b"Dulcinea after the end\xff\xd9")
    assert b"Dulcinea" not in cleaned
    assert b"Quixotte" not in cleaned
    assert len(cleaned) % 2 == 0
    assert same(stream, cleaned)


def test_comments_leave_a_jpeg_2000():
    stream = jpeg2000(comment="Dulcinea")
    assert b"Dulcinea" in stream
    cleaned = without_comments(stream + b"Dulcinea after the end")
    assert b"Dulcinea" not in cleaned
    assert same(stream, cleaned)


def test_a_comment_within_a_tile_is_refused():
    stream = jpeg2000()
    tile = stream.index(b"\xff\x90")
    data = stream.index(b"\xff\x93", tile)
    comment = b"\xff\x64\x00\x0c\x00\x01Dulcinea"
    length = int.from_bytes(stream[tile + 6 : tile + 10], "big") + len(comment)
    header = stream[: tile + 6] + length.to_bytes(4, "big") + stream[tile + 10 : data]
    longer = header + comment + stream[data:]
    with pytest.raises(ValueError, match="within a tile"):
        without_comments(longer)


BROKEN = [b"", b"\xff", b"\xff\xd8", b"RIFF....", jpeg()[:-2], jpeg()[:40], jpeg2000()[:30], jpeg2000()[:-40]]


@pytest.mark.parametrize("stream", BROKEN)
def test_a_stream_that_is_none_is_refused(stream):
    with pytest.raises(ValueError, match="stream"):
        without_comments(stream)


def test_an_end_before_the_tile_is_none():
    """Found by atheris: a tile goes on to the end, it says, and the end stands in the header before it."""
    stream = jpeg2000()
    tile = stream.index(b"\xff\x90")
    broken = (
        stream[: tile - 4] + b"\xff\xd9" + stream[tile - 2 : tile + 6] + bytes(4) + stream[tile + 10 : -2]
    )
    with pytest.raises(ValueError, match="stream"):
        without_comments(broken)


@pytest.mark.parametrize(("make", "syntax"), [(jpeg, JPEGBaseline8Bit), (jpeg2000, JPEG2000Lossless)])
def test_a_compressed_image_loses_its_comments_and_not_its_picture(pseudonyms, make, syntax):
    comment = b"Dulcinea" if make is jpeg else "Dulcinea"
    image = compressed(syntax, [make(comment=comment), make(comment=comment)])
    assert b"Dulcinea" in bytes_of(image)
    cleaned = deidentify(image, pseudonyms)
    content = bytes_of(cleaned.dataset)
    assert b"Dulcinea" not in content
    assert not cleaned.suspicions
    assert np.array_equal(again(cleaned.dataset).pixel_array, image.pixel_array)


def test_a_stream_that_cannot_be_looked_into_is_dropped_and_said(pseudonyms):
    cleaned = deidentify(compressed(JPEGBaseline8Bit, [b"Dulcinea"]), pseudonyms)
    assert b"Dulcinea" not in bytes_of(cleaned.dataset)
    assert "cannot be looked into" in cleaned.suspicions[0]


def test_a_film_cannot_be_looked_into(pseudonyms):
    cleaned = deidentify(compressed(MPEG2MPML, [b"film of Dulcinea"]), pseudonyms)
    assert cleaned.suspicions
    assert "PixelData" not in cleaned.dataset


def compressed(syntax, frames):
    image = planted()
    for keyword in ("BitsAllocated", "BitsStored"):
        setattr(image, keyword, 8)
    image.HighBit, image.NumberOfFrames = 7, len(frames)
    image.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2) for frame in frames])
    image["PixelData"].is_undefined_length = True
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = syntax
    del image[0xFFFCFFFC]
    return again(image)
