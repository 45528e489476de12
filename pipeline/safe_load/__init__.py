"""Pickles, .pt and .mat files as plain arrays, read by another process: nothing of theirs can run in this one."""

from pipeline.safe_load.kinds import foreign_kind as foreign_kind
from pipeline.safe_load.process import MODEL_LIMITS as MODEL_LIMITS
from pipeline.safe_load.process import UPLOAD_LIMITS as UPLOAD_LIMITS
from pipeline.safe_load.process import Limits as Limits
from pipeline.safe_load.process import convert as convert
from pipeline.safe_load.process import convert_network as convert_network
