class Renderer: ...

class Bbox:
    x0: float
    x1: float
    y0: float
    y1: float
    width: float
    height: float

class Transform:
    def inverted(self) -> Transform: ...
    def transform(self, values: tuple[float, float]) -> tuple[float, float]: ...
