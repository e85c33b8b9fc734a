"""A machine that claims and finishes jobs: claimer.py URL HOSTNAME LIMIT.

It holds as many jobs as it gets, and finishes one now and then, in no order.  It stops when
it holds none, and has been told ten times that there is none.
"""

import json
import random
import sys
import time
import xmlrpc.client

url, hostname, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
scheduler = xmlrpc.client.ServerProxy(url, allow_none=True)
jobs, holding, failures, most, idle = [], [], [], 0, 0

while holding or idle < 10:
    try:
        job = scheduler.getJobForMachine(hostname, limit)
        if job:
            jobs.append(job)
            holding.append(job)
            idle = 0
        else:
            idle += 1
        most = max(most, len(holding))
        if holding and (not job or random.random() < 0.4):
            done = holding.pop(random.randrange(len(holding)))
            scheduler.updateHeartbeat(done, "working")
            scheduler.finishJobID(done, "SUCCESS", xmlrpc.client.Binary(b"done"))
        elif not job:
            time.sleep(0.02)
    except (xmlrpc.client.Error, OSError) as error:
        failures.append(repr(error))
        idle += 1

print(json.dumps({"jobs": jobs, "failures": failures, "held": most}))
