"""Fingerprints of picture and sound: small, streamed, compared second by second. No Django here."""
