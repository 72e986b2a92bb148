"""Random programs of asynchronous calls, and what a log of them must say.

A program is a chain of components.  Each has a small interpreter (``guest``) for scripts of
operations: call the next component, wait, poll, yield, cancel, return, hold others back.  Before
and after whatever the canonical ABI lets it do or know, the guest tells the host's ``journal``,
which is no part of what is traced.  ``model`` makes of the journal, by the specification alone, the
records that each component's log must have, one by one.
"""
