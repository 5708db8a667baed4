"""Network addresses: ICE servers, advertised addresses and ports, the listening socket."""
