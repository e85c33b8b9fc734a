"""The views of code imports that workers call by XML-RPC."""
