"""The fingerprint's benchmark, part by part."""
