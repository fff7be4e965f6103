"""Print csrc/kernels/simd/segments.h: tanh and the logistic function as 32 parabolas.

    python scripts/make_segments.py > csrc/kernels/simd/segments.h

Segment k is where round(x * 15.5 / limit) + 16 == k. Each parabola interpolates at Chebyshev nodes,
in x itself (not in the distance from the segment's middle), so that it takes two fused products.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SEGMENTS = 32


def parabolas(function: Callable[[Array], Array], limit: float) -> Array:
    """Coefficients ``[3, 32]`` of 1, x, x^2 on -limit..limit."""
    width = limit / 15.5
    nodes = np.cos((np.arange(64) + 0.5) / 64 * np.pi)
    out = np.zeros((3, SEGMENTS))
    for k in range(SEGMENTS):
        x = (k - 16) * width + width / 2 * nodes
        out[:, k] = np.polynomial.Polynomial.fit(x, function(x), 2).convert().coef
    out[0, 16] = function(np.zeros(1))[0]  # exact in the middle: zero states stay zero
    return out


def table(name: str, values: Array) -> str:
    """One array as C++."""
    numbers = [f"{np.float32(v):.9g}" for v in values]
    numbers = [n + ("f" if "." in n or "e" in n else ".0f") for n in numbers]
    rows = [", ".join(numbers[i : i + 6]) for i in range(0, SEGMENTS, 6)]
    body = ",\n    ".join(rows)
    return f"constexpr float {name}[32] = {{\n    {body}}};\n"


def main() -> None:
    print(
        "// Made by scripts/make_segments.py: tanh and the logistic function as 32 parabolas each."
    )
    print(
        "// Segment k is where round(x * 15.5 / limit) + 16 == k; the value is c0 + x (c1 + x c2)."
    )
    print("#ifndef PYVOC_KERNELS_SIMD_SEGMENTS_H_\n#define PYVOC_KERNELS_SIMD_SEGMENTS_H_\n")
    print("namespace pyvoc::kernels {\nnamespace {\n")
    for name, function, limit in (
        ("Tanh", np.tanh, 4.5),
        ("Sigmoid", lambda x: 1 / (1 + np.exp(-x)), 9.0),
    ):
        print(f"constexpr float k{name}SegmentLimit = {limit}f;")
        for power, values in enumerate(parabolas(function, limit)):
            print(table(f"k{name}C{power}", values), end="")
        print()
    print(
        "}  // namespace\n}  // namespace pyvoc::kernels\n#endif  // PYVOC_KERNELS_SIMD_SEGMENTS_H_"
    )


if __name__ == "__main__":
    main()
