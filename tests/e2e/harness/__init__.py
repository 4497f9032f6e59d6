"""What the end-to-end tests are made of: servers, clients and drivers, each a small class over a process or a socket."""
