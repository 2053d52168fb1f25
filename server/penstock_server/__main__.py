"""`penstock-server`: the command line of the server."""

from penstock_server.main.cli import main

if __name__ == "__main__":
    main()
