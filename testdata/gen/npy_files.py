"""Writes the .npy files that internal/npy is tested with.

    python testdata/gen/npy_files.py        (numpy 2.4.6)

Every array has shape (2, 3) and holds 0..5 minus 2 (unsigned types: 0..5, bool: odd numbers), unless its name says otherwise.
"""
import os

import numpy as np
from numpy.lib import format as npy

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "internal", "npy", "testdata")
os.makedirs(out, exist_ok=True)


def write(name, array, version=(1, 0)):
    with open(os.path.join(out, name + ".npy"), "wb") as f:
        npy.write_array(f, array, version=version)


for code in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]:
    values = np.arange(6).reshape(2, 3)
    if code[0] in "fi":
        values = values - 2
    if code == "b1":
        values = values % 2
    for order, word in [("<", "little"), (">", "big")]:
        if code[1] != "1" or order == "<":
            write(f"{code}_{word}", values.astype(order + code))

base = (np.arange(6).reshape(2, 3) - 2).astype("<f4")
write("fortran_f4", np.asfortranarray(base))
write("fortran_big_i2", np.asfortranarray(base.astype(">i2")))
write("version2_f4", base, (2, 0))
write("version3_f4", base, (3, 0))
write("scalar_f4", np.array(1.5, "<f4"))
write("vector_f4", base.reshape(6))
write("empty_f4", np.zeros((0, 3), "<f4"))
write("string", np.array(["a", "b"]))
write("complex", np.zeros(2, "<c8"))
write("structured", np.zeros(2, [("a", "<f4")]))
