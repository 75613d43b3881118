"""Faces in torch: detect, track, landmarks, matte. Networks by MediaPipe (Apache-2.0, see `weights/NOTICE`)."""

from media.tracking.detector import FaceDetection, FaceDetector
from media.tracking.geometry import Box, Roi, roi_from_landmarks
from media.tracking.landmarker import LANDMARKS, FaceLandmarker
from media.tracking.matte import Matte
from media.tracking.tracker import FaceTracker, TrackedFace, TrackedFrame, TrackerOptions
from media.tracking.weights import DamagedWeights

__all__ = [
    "LANDMARKS",
    "Box",
    "DamagedWeights",
    "FaceDetection",
    "FaceDetector",
    "FaceLandmarker",
    "FaceTracker",
    "Matte",
    "Roi",
    "TrackedFace",
    "TrackedFrame",
    "TrackerOptions",
    "roi_from_landmarks",
]
