"""The arrays that evidence is computed with: their types, for any shape."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Scopes = NDArray[np.uint8]  # of `secondlook.common.text.scope.Scope`
