"""
The soak: some minutes of everything at once, each answer judged when it comes.

    world (what there is) -> callers and troubles -> the extension's process -> upstream -> history
                             answers and history -> oracle, rates -> report
                             what the process uses, at rests -> resources -> report

Rules
-----
1. The oracle knows what AWS gave and when, and nothing of the process's inside. An answer was judged at some moment
   between its question and its arrival, on the same wall clock as the history.
2. Where only the process knows in which order two things came to it, the oracle asks what it has surely seen
   (`Beats`), not how long ago that was: a slow machine raises no false alarm.
3. All chance comes from one seed, a stream of it for each actor: when one acts does not change what another does.
"""
