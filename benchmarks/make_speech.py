"""Make speech: short texts in ten languages, read by eSpeak NG, as it comes out of rooms, telephones and microphones.

``muse train gate --other FOLDER`` learns from it what is no music. Each voice has a folder of its own, so that it can
be left out as a whole. ``pip install espeakng-loader`` brings the program (GPL-3.0; the license does not cover what it
says).

    python benchmarks/make_speech.py FOLDER
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from muse.audio import write_audio

N_SOUNDS = 120
TEXTS = {
    "en": "The morning was grey and the road lay empty before them. Nobody had expected the letter, and when it came "
    "it was read twice before anyone spoke. There is nothing to be done about it now, she said, and closed the window.",
    "de": "Am Morgen war die Strasse leer, und niemand hatte den Brief erwartet. Als er kam, las man ihn zweimal, "
    "bevor jemand etwas sagte. Daran ist nun nichts mehr zu ändern, meinte sie und schloss das Fenster.",
    "fr": "Le matin, la rue était vide et personne n'attendait la lettre. Quand elle arriva, on la lut deux fois avant "
    "de parler. Il n'y a plus rien à faire, dit-elle en fermant la fenêtre.",
    "es": "Por la mañana la calle estaba vacía y nadie esperaba la carta. Cuando llegó, la leyeron dos veces antes de "
    "hablar. Ya no hay nada que hacer, dijo ella, y cerró la ventana.",
    "it": "La mattina la strada era vuota e nessuno aspettava la lettera. Quando arrivò, la lessero due volte.",
    "sv": "På morgonen var gatan tom och ingen väntade brevet. När det kom lästes det två gånger.",
    "ru": "Утром улица была пуста, и никто не ждал письма. Когда оно пришло, его прочитали дважды.",
    "pl": "Rano ulica była pusta i nikt nie czekał na list. Gdy przyszedł, przeczytano go dwa razy.",
    "nl": "In de ochtend was de straat leeg en niemand had de brief verwacht. Toen hij kwam, las men hem twee keer.",
    "pt": "De manhã a rua estava vazia e ninguém esperava a carta. Quando chegou, foi lida duas vezes.",
}
VARIANTS = (*(f"m{i}" for i in range(1, 8)), *(f"f{i}" for i in range(1, 6)), "croak", "whisper", "klatt", "klatt2")
SYNCHRONOUS, UTF8, RATE, RANGE, PITCH = 2, 1, 1, 4, 3
"""Of ``espeak_Initialize``, ``espeak_Synth`` and ``espeak_SetParameter`` (speak_lib.h)."""

Sound = NDArray[np.float64]


class Voice:
    """eSpeak NG, which writes what it says into a list."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise SystemExit("speech is made by the package espeakng-loader: pip install espeakng-loader") from None

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.sample_rate: int = self.library.espeak_Initialize(
            SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
        )
        self.blocks: list[Sound] = []

        def collect(samples: ctypes._Pointer[ctypes.c_short], n: int, _events: int) -> int:
            if samples and n:
                self.blocks.append(np.ctypeslib.as_array(samples, (n,)) / 32768)
            return 0

        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self.callback = kind(collect)  # must live as long as the library may call it
        self.library.espeak_SetSynthCallback(self.callback)

    def say(self, text: str, voice: str, **parameters: int) -> Sound:
        """A text in a voice (``en+f2``)."""
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"eSpeak NG has no voice {voice}")
        for name, value in parameters.items():
            self.library.espeak_SetParameter({"rate": RATE, "pitch": PITCH, "range": RANGE}[name], value, 0)
        self.blocks.clear()
        data = text.encode() + b"\0"
        self.library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        return np.concatenate(self.blocks)


def through_the_air(sound: Sound, rate: int, random: np.random.Generator) -> Sound:
    """A room, the band of a telephone, a microphone that hisses; each of them now and then."""
    if random.random() < 0.6:
        time = np.arange(int(random.uniform(0.1, 0.9) * rate)) / rate
        tail = random.normal(size=len(time)) * np.exp(-6.9 * time / time[-1])
        tail *= random.uniform(0.1, 0.7) / np.sqrt(np.square(tail).sum())
        tail[0] = 1
        sound = scipy.signal.fftconvolve(sound, tail)[: len(sound)]
    if random.random() < 0.6:
        edges = [random.uniform(60, 300), random.uniform(2500, 9000)]
        sound = scipy.signal.sosfilt(scipy.signal.butter(2, edges, "bandpass", fs=rate, output="sos"), sound)
    sound = sound / max(np.abs(sound).max(), 1e-6) * 10 ** (-random.uniform(1, 25) / 20)
    if random.random() < 0.7:
        loudness = np.sqrt(np.square(sound).mean())
        sound = sound + loudness * 10 ** (-random.uniform(10, 45) / 20) * random.normal(size=len(sound))
    return np.clip(sound, -1, 1)


def main(folder: Path) -> None:
    """Write the sounds."""
    voice = Voice()
    for i in range(N_SOUNDS):
        random = np.random.default_rng(i)
        language, variant = random.choice(list(TEXTS)), random.choice(VARIANTS)
        rate, pitch, spread = (int(x) for x in random.integers([110, 20, 20], [230, 80, 80]))
        said = voice.say(TEXTS[language], f"{language}+{variant}", rate=rate, pitch=pitch, range=spread)
        n = int(random.uniform(1.5, 25) * voice.sample_rate)
        first = int(random.uniform(0, max(len(said) - n, 1)))
        sound = through_the_air(said[first : first + n], voice.sample_rate, random)
        path = folder / variant / f"speech{i:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(sound.astype(np.float32)[None], voice.sample_rate, path)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
