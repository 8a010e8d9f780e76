"""What there is and how it goes: ls, describe, pools and top."""
