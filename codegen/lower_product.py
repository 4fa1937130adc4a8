def lower_product(*a):
    raise AssertionError
