"""Rules of the operator, one file each: pure functions over observed values and a time that is handed in."""
