"""The agent that runs in the pods of steps, before and after the step's own container.

It is started twice in every pod, so it is kept lean: the standard library, and `obstore` only where the object store
needs it. It knows nothing of the server; the server writes what it reads and reads what it writes.
"""
