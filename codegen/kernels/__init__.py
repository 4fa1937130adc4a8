"""The fixed library of products, with and without windows, as LLVM text: see `docs/kernels.md`.

`library` loads it, `library_text` puts it together; `strategy` has the sizes. `product` is the interface of
products, `row`, `stream` and `large` are its drivers by shape; `convolve` and `correlate` are those whose
left operand is windows, by `geometry` and `pixels`. All are made of `tiles` (microkernels), `packers` and
`cuts`.
"""
