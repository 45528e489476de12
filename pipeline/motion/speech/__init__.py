"""Speech moves the face: a recording with or without its transcript, or a text that eSpeak NG says."""

from pipeline.motion.speech.espeak import languages
from pipeline.motion.speech.speech import say, speech_motion

__all__ = ["languages", "say", "speech_motion"]
