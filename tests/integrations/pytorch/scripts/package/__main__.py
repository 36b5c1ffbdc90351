"""A package that is run with `python -m`."""

import json

from package.training import train

if __name__ == "__main__":
    print(json.dumps({"losses": train()}))
