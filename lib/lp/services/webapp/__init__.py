"""Publishing objects on the web: Pyramid over the one component registry, and XML-RPC."""

import warnings

# Pyramid imports pkg_resources, which warns each user of its end; it works with the
# version that is installed, and no user can do anything about it.
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
