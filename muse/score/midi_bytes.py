"""The structure of MIDI bytes, checked before a native parser sees them.

Ours, because no library does it: symusic's parser is fast because it trusts its input, and some malformed files take
the whole process down with it (symusic issue 104); parsers in Python are safe but slower by orders of magnitude, and
repair nothing. :func:`check` walks through headers, chunk lengths, variable-length numbers, running status and event
lengths, so that only well-formed bytes go further. Runs of channel messages, nearly all of a file, are matched by one
regular expression, which keeps the walk at a few milliseconds even for a large file.

What is merely sloppy, and common, is repaired by rewriting: bytes around the file proper (RIFF, MacBinary, junk), a
wrong number of tracks or chunk length, a file cut short, a missing end of track, running status across a meta event,
text that is no UTF-8, and meta events whose content makes no sense. System exclusive data is left out. What is
malformed in its middle is refused, with the byte position.

Source of the format: Standard MIDI Files 1.0 (RP-001), MIDI Manufacturers Association 1996.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from muse.errors import InputError

__all__ = ["MidiBytes", "check", "insert_text"]

# An event is a time and a message. The time, a variable-length number, has four bytes at most. A message with a status
# may be followed by more of its kind without one (running status).
_TIME = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
_TWO_BYTES = rb"(?:%b[\x80-\xbf\xe0-\xef][\x00-\x7f]{2}(?:%b[\x00-\x7f]{2})*+)" % (_TIME, _TIME)
_ONE_BYTE = rb"(?:%b[\xc0-\xdf][\x00-\x7f](?:%b[\x00-\x7f])*+)" % (_TIME, _TIME)
_NUMBER = re.compile(_TIME)
_CHANNEL_GROUP = re.compile(rb"%b|%b" % (_TWO_BYTES, _ONE_BYTE))
_CHANNEL_RUN = re.compile(rb"(?:%b|%b)*+" % (_TWO_BYTES, _ONE_BYTE))
_RUNNING = {1: re.compile(rb"(?:%b[\x00-\x7f])*+" % _TIME), 2: re.compile(rb"(?:%b[\x00-\x7f]{2})*+" % _TIME)}
_LONG_TIME = re.compile(rb"[\x80-\xff]{2,3}[\x00-\x7f]")  # in channel messages, two high bytes in a row mean a time

_END_OF_TRACK = b"\x00\xff\x2f\x00"
_META_END = 0x2F
_NOTHING = b"\xff\x01\x00"  # an empty text event: keeps the time of an event that is taken out
_MAX_TICK = 2**31 - 1  # symusic counts in int32

_OTHER_FORMATS = (
    (b"RIFF", "a WAV or AVI file"),
    (b"ID3", "an MP3 recording"),
    (b"\xff\xfb", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"fLaC", "a FLAC recording"),
    (b"PK\x03\x04", "a ZIP archive (compressed MusicXML, perhaps)"),
    (b"<?xml", "an XML file (MusicXML, perhaps)"),
    (b"X:", "an ABC tune"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
)


@dataclass(frozen=True)
class MidiBytes:
    """What :func:`check` found."""

    data: bytes
    """A well-formed MIDI file: the bytes that came in, or a repaired copy."""
    text: tuple[str, ...]
    """Contents of the text meta events (type 1), in the order of the file."""
    repairs: tuple[str, ...]
    """What was repaired; empty when nothing was."""


@dataclass(frozen=True)
class _Track:
    body: bytes  # well-formed, ends with an end of track
    end: int  # position behind the last byte that was read
    complete: bool  # an end of track was found
    text: tuple[str, ...]
    repairs: tuple[str, ...]


def check(data: bytes, *, max_tracks: int = 512) -> MidiBytes:
    """Verify the structure of a MIDI file and repair what is merely sloppy.

    Parameters
    ----------
    data
        The whole file.
    max_tracks
        More track chunks than this are refused.

    Raises
    ------
    InputError
        The bytes are no MIDI file, or are malformed beyond repair. The message has no file name; the caller knows it.
    """
    start = data.find(b"MThd", 0, 4096)
    if start < 0:
        kind = next((name for magic, name in _OTHER_FORMATS if data.startswith(magic)), "something else")
        raise InputError(f"this is {kind}, not a MIDI file: give a Standard MIDI File (.mid)")
    if len(data) < start + 14:
        raise InputError(f"the header is cut off after {len(data) - start} of 14 bytes: get the file again")
    header_length, midi_format, n_declared, division = struct.unpack_from(">IHHH", data, start + 4)
    if not 6 <= header_length <= 1024:
        raise InputError(f"the header claims {header_length} bytes instead of 6: the file is damaged")
    if midi_format == 2:
        raise InputError("format 2 (independent patterns) has no common time line: save it as format 0 or 1")
    if midi_format > 2:
        raise InputError(f"format {midi_format} does not exist, only 0 and 1 can be read: the file is damaged")
    if division & 0x8000:
        raise InputError("time is counted in SMPTE frames, not beats: save it with ticks per quarter note")
    if division == 0:
        raise InputError("the header gives 0 ticks per quarter note: the file is damaged")

    repairs: list[str] = []
    tracks: list[_Track] = []
    position = start + 8 + header_length
    if start or header_length != 6:
        repairs.append("header")
    while position + 8 <= len(data):
        stop = position + 8 + int.from_bytes(data[position + 4 : position + 8], "big")
        if data[position : position + 4] != b"MTrk":
            # Other chunks are legal, and skipped. What is no chunk at all is junk.
            position = stop if _is_chunk(data, position) and stop <= len(data) else _next_track(data, position)
            repairs.append("bytes outside of tracks")
            continue
        if len(tracks) == max_tracks:
            raise InputError(f"more than {max_tracks} tracks: no music needs that many; split the file")
        track = _read_track(data, position + 8, stop)
        tracks.append(track)
        repairs.extend(track.repairs)
        position = stop if stop == len(data) or _is_chunk(data, stop) else _next_track(data, track.end)
        if track.end != stop:
            repairs.append("chunk length")
        elif position != stop:
            repairs.append("bytes outside of tracks")
    if not tracks:
        raise InputError("there is no track in it: the file is cut off behind the header")

    if position != len(data):
        repairs.append("bytes outside of tracks")
    if len(tracks) != n_declared or (midi_format == 0 and len(tracks) > 1):
        repairs.append("number of tracks")
        midi_format = min(1, len(tracks) - 1)
    text = tuple(line for track in tracks for line in track.text)
    if not repairs:
        return MidiBytes(data, text, ())
    chunks = [b"MThd" + struct.pack(">IHHH", 6, midi_format, len(tracks), division)]
    chunks += [b"MTrk" + struct.pack(">I", len(track.body)) + track.body for track in tracks]
    return MidiBytes(b"".join(chunks), text, tuple(dict.fromkeys(repairs)))


def insert_text(data: bytes, text: str) -> bytes:
    """Put a text meta event (type 1, UTF-8) at the start of the first track of well-formed MIDI bytes."""
    payload = text.encode("utf-8", "replace")
    event = b"\x00\xff\x01" + _encode_number(len(payload)) + payload
    if data[10:12] == b"\x00\x00":  # no track yet
        body = event + _END_OF_TRACK
        return data[:10] + b"\x00\x01" + data[12:14] + b"MTrk" + struct.pack(">I", len(body)) + body
    length = int.from_bytes(data[18:22], "big")
    return data[:18] + struct.pack(">I", length + len(event)) + event + data[22:]


def _is_chunk(data: bytes, position: int) -> bool:
    """Whether a chunk header can stand here."""
    return position + 8 <= len(data) and data[position : position + 4].isalpha()


def _next_track(data: bytes, position: int) -> int:
    """Where the next track chunk starts, or the end of the data."""
    found = data.find(b"MTrk", position)
    return found if found >= 0 else len(data)


def _read_track(data: bytes, first: int, stop: int) -> _Track:
    """The track whose events start at *first* and should end at *stop*."""
    track = _walk(data, first, min(stop, len(data)))
    if not track.complete and stop < len(data) and not _is_chunk(data, stop):
        # Nothing starts where this chunk should end, so its length is too small.
        try:
            return _walk(data, first, _next_track(data, stop))
        except InputError:
            return track
    return track


def _walk(data: bytes, first: int, stop: int) -> _Track:
    """Read events up to the end of track; what the stop cuts off is left out."""
    parts: list[bytes] = []  # verified, with repairs
    kept = position = first  # data[kept:position] is verified, and not yet in parts
    text: list[str] = []
    repairs: list[str] = []
    bound = 0  # no fewer ticks than have passed
    status: int | None = 0  # of the last channel message; None = the last one of channel_run, not looked up yet
    channel_run = (first, first)

    def replace(start: int, end: int, event: bytes, what: str) -> None:
        nonlocal kept
        parts.extend((data[kept:start], event))
        kept = end
        repairs.append(what)

    complete = False
    while not complete:
        run_end = _end_of(_CHANNEL_RUN, data, position, stop)
        if run_end > position:
            bound += _bound(data, position, run_end)
            status, channel_run = None, (position, run_end)
            position = run_end
        at = _end_of(_NUMBER, data, position, stop)  # behind the time of what follows
        if at == position and stop - position >= 4:
            raise InputError(f"the time at byte {position} has more than 4 bytes: the file is damaged")
        if at in (position, stop):
            break  # cut off
        bound += _decode_number(data[position:at])
        kind = data[at]

        if kind < 0xF0:  # a channel message that is malformed, or whose status stands before a meta event
            if kind >= 0x80:
                status = kind
            elif status is None:
                status = _last_status(data, *channel_run)
            if status == 0:
                raise InputError(f"at byte {at} a message has no status: the file is damaged")
            n_bytes = _n_data(status)
            end = _end_of(_RUNNING[n_bytes], data, position, stop) if kind < 0x80 else position
            if end == position:
                if at + (kind >= 0x80) + n_bytes <= stop:
                    raise InputError(f"at byte {at} a message has a data byte above 127: the file is damaged")
                break  # cut off
            replace(at, at, bytes([status]), "running status")
            bound += _bound(data, position, end)
            position = end
            continue

        if kind not in (0xFF, 0xF0, 0xF7):
            raise InputError(f"at byte {at} stands status 0x{kind:02X}, which no file can hold: the file is damaged")
        number_at = at + 2 if kind == 0xFF else at + 1
        payload_at = _end_of(_NUMBER, data, number_at, stop) if number_at < stop else number_at
        if payload_at <= number_at:
            if stop - number_at >= 4:
                raise InputError(f"the length at byte {number_at} has more than 4 bytes: the file is damaged")
            break  # cut off
        end = payload_at + _decode_number(data[number_at:payload_at])
        if end > stop:
            break  # cut off
        if kind != 0xFF:
            replace(at, end, _NOTHING, "system exclusive data")
        elif data[at + 1] == _META_END:
            complete = True
            if end != payload_at:
                replace(at, end, _END_OF_TRACK[1:], "end of track")
        else:
            event = _repaired_meta(data[at + 1], data[payload_at:end], text)
            if event is not None:
                replace(at, end, event, "meta event")
        position = end

    parts.append(data[kept:position])
    if not complete:
        parts.append(_END_OF_TRACK)
        repairs.append("end of track")
    body = b"".join(parts)
    if bound > _MAX_TICK and (n_ticks := _n_ticks(body)) > _MAX_TICK:
        raise InputError(f"a track lasts {n_ticks} ticks, more than {_MAX_TICK}: the file is damaged")
    return _Track(body, position if complete else stop, complete, tuple(text), tuple(repairs))


def _end_of(pattern: re.Pattern[bytes], data: bytes, position: int, stop: int) -> int:
    """Where a match that starts at *position* ends; *position* itself without a match."""
    match = pattern.match(data, position, stop)
    return match.end() if match is not None else position


def _encode_number(value: int) -> bytes:
    """A variable-length number: seven bits a byte, the high bit set in all but the last."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def _decode_number(digits: bytes) -> int:
    value = 0
    for digit in digits:
        value = value << 7 | digit & 0x7F
    return value


def _last_status(data: bytes, start: int, end: int) -> int:
    """Status of the last channel message in well-formed data[start:end]; 0 without one."""
    position = -1
    for group in _CHANNEL_GROUP.finditer(data, start, end):
        position = group.start()
    return 0 if position < 0 else data[_end_of(_NUMBER, data, position, end)]


def _n_data(status: int) -> int:
    """How many data bytes follow the status of a channel message."""
    return 1 if 0xC0 <= status <= 0xDF else 2


def _bound(data: bytes, start: int, end: int) -> int:
    """An upper bound of the ticks that pass in the channel messages data[start:end].

    A time of two bytes is at most 16,383, and an event with such a time has three bytes or more; so only the
    rare longer times are looked at. Adding up every time would cost more than all other checks together.
    """
    long_times = sum(_decode_number(match.group()) for match in _LONG_TIME.finditer(data, start, end))
    return long_times + (end - start) // 3 * 16383


def _n_ticks(body: bytes) -> int:
    """The ticks that pass in the well-formed events of a track."""
    position = n_ticks = status = 0
    while position < len(body):
        at = _end_of(_NUMBER, body, position, len(body))
        n_ticks += _decode_number(body[position:at])
        if body[at] == 0xFF:
            payload_at = _end_of(_NUMBER, body, at + 2, len(body))
            position = payload_at + _decode_number(body[at + 2 : payload_at])
            continue
        if body[at] >= 0x80:
            status = body[at]
            at += 1
        position = at + _n_data(status)
    return n_ticks


def _repaired_meta(kind: int, payload: bytes, text: list[str]) -> bytes | None:
    """The event to put in place of a meta event whose content a parser could stumble over; None if it is sound.

    Text of kind 1 is added to *text*.
    """
    if 0x01 <= kind <= 0x0F:
        try:
            line, sound = payload.decode("utf-8"), True
        except UnicodeDecodeError:
            line, sound = payload.decode("latin-1"), False
        if kind == 0x01 and line:
            text.append(line)
        encoded = line.encode("utf-8")
        return None if sound else bytes([0xFF, kind]) + _encode_number(len(encoded)) + encoded
    if kind == 0x51:  # microseconds a quarter note
        return None if len(payload) == 3 and any(payload) else _NOTHING
    if kind == 0x58:  # numerator, power of two of the denominator, clocks a click, 32nds a quarter note
        return None if len(payload) == 4 and payload[0] > 0 and payload[1] <= 6 else _NOTHING
    if kind == 0x59:  # sharps or flats, major or minor
        return None if len(payload) == 2 and (payload[0] <= 7 or payload[0] >= 249) and payload[1] <= 1 else _NOTHING
    return None
