"""Logs of steps as pods: read from the kubelets while they are there, and kept in the object store.

source ──► stamped ──► intake ──► stored ──► reader         rhythm: when to read
the API    where one is  parts      the store                collector: one pod's log, from its first read to its end
"""
