"""The child process that touches untrusted media, run as `python -m media.decoder`.

It imports no torch and no Django, starts in a fraction of a second, reads one request, and answers in framed messages (`wire`).
The parent's side is `media.video.sandbox`.
"""
