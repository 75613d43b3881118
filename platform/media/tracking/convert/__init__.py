"""Conversion of MediaPipe's published face networks into the files under `weights/`. Not imported by the product."""
