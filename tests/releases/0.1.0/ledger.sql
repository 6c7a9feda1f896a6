BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE api_keys (
	id VARCHAR(64) NOT NULL, 
	label TEXT NOT NULL, 
	role TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	last_used_at DATETIME, 
	revoked_at DATETIME, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id)
);
CREATE TABLE api_sessions (
	digest VARCHAR(64) NOT NULL, 
	key_id VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_api_sessions PRIMARY KEY (digest), 
	CONSTRAINT fk_api_sessions_key_id FOREIGN KEY(key_id) REFERENCES api_keys (id)
);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	key_id VARCHAR(64) NOT NULL, 
	role TEXT NOT NULL, 
	act TEXT NOT NULL, 
	target TEXT NOT NULL, 
	status BIGINT, 
	subject TEXT, 
	ended_at DATETIME, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE TABLE campaigns (
	id VARCHAR(64) NOT NULL, 
	template TEXT NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	list_name TEXT NOT NULL, 
	list_digest VARCHAR(64) NOT NULL, 
	duplicates BIGINT NOT NULL, 
	without_address BIGINT NOT NULL, 
	created_at DATETIME NOT NULL, 
	moved_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	CONSTRAINT pk_campaigns PRIMARY KEY (id), 
	CONSTRAINT ck_campaigns_state CHECK (state IN ('loading', 'running', 'done', 'paused', 'cancelled'))
);
INSERT INTO "campaigns" VALUES('published-campaign','newsletter','running','published-campaign.csv','d544d807fed4ca8776a32d0e436f2602bf724cf238d6ea6d89f89920b5ab4f7c',0,0,'2026-11-21 17:21:51.396952','2026-11-21 17:21:51.396952',NULL);
INSERT INTO "campaigns" VALUES('released-campaign','newsletter','running','released-campaign.csv','5975e12e45347b592fe3fa4def3261886ec7cd54ec9fc438729d868683366da3',0,0,'2026-11-21 17:21:51.485528','2026-11-21 17:21:51.502348',NULL);
INSERT INTO "campaigns" VALUES('accepted-campaign','newsletter','running','accepted-campaign.csv','d7d62675963c410ebcf933df5181d2d2871e7e67a9a367857fe8d390d07183fb',0,0,'2026-11-21 17:21:51.536230','2026-11-21 17:21:51.536230',NULL);
CREATE TABLE chunks (
	campaign_id VARCHAR(64) NOT NULL, 
	number BIGINT NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	reason TEXT, 
	released_at DATETIME, 
	finished_at DATETIME, 
	CONSTRAINT pk_chunks PRIMARY KEY (campaign_id, number), 
	CONSTRAINT ck_chunks_state CHECK (state IN ('waiting', 'released', 'failed', 'done', 'cancelled')), 
	CONSTRAINT fk_chunks_campaign_id FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
);
INSERT INTO "chunks" VALUES('published-campaign',1,'waiting',NULL,NULL,NULL);
INSERT INTO "chunks" VALUES('published-campaign',2,'waiting',NULL,NULL,NULL);
INSERT INTO "chunks" VALUES('released-campaign',1,'released',NULL,'2026-11-21 17:21:51.502348',NULL);
INSERT INTO "chunks" VALUES('released-campaign',2,'released',NULL,'2026-11-21 17:21:51.502348',NULL);
INSERT INTO "chunks" VALUES('accepted-campaign',1,'waiting',NULL,NULL,NULL);
INSERT INTO "chunks" VALUES('accepted-campaign',2,'waiting',NULL,NULL,NULL);
CREATE TABLE dead_letters (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	task_id TEXT, 
	task TEXT, 
	queue TEXT NOT NULL, 
	broker TEXT, 
	reason TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	traceback TEXT, 
	root_id TEXT, 
	group_id TEXT, 
	died_at DATETIME NOT NULL, 
	collected_at DATETIME NOT NULL, 
	headers JSON, 
	properties JSON, 
	content_type TEXT, 
	content_encoding TEXT, 
	body BLOB NOT NULL, 
	edited_body BLOB, 
	replays BIGINT NOT NULL, 
	replay_of BIGINT, 
	replayed_at DATETIME, 
	CONSTRAINT pk_dead_letters PRIMARY KEY (id)
);
CREATE TABLE dead_letters_removed (
	queue TEXT NOT NULL, 
	expired BIGINT NOT NULL, 
	over_limit BIGINT NOT NULL, 
	last_at DATETIME NOT NULL, 
	CONSTRAINT pk_dead_letters_removed PRIMARY KEY (queue)
);
CREATE TABLE files (
	id VARCHAR(64) NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	reason TEXT, 
	kind TEXT, 
	media_type TEXT, 
	bytes BIGINT NOT NULL, 
	sha256 TEXT, 
	seconds DOUBLE, 
	facts JSON, 
	artefacts JSON, 
	members JSON, 
	finished_at DATETIME, 
	CONSTRAINT pk_files PRIMARY KEY (id), 
	CONSTRAINT ck_files_status CHECK (status IN ('waiting', 'failed', 'done')), 
	CONSTRAINT fk_files_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "files" VALUES('job-20261121-pwhrf7qgke-000001','job-20261121-pwhrf7qgke','0.txt','jobs/job-20261121-pwhrf7qgke/in/job-20261121-pwhrf7qgke-000001/0.txt','waiting',NULL,NULL,NULL,25,'155cd794aa2f2a7ce0c536d3458152bda92efc3c9327c3a8d8a7ba588baabeff',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "files" VALUES('job-20261121-pwhrf7qgke-000002','job-20261121-pwhrf7qgke','1.txt','jobs/job-20261121-pwhrf7qgke/in/job-20261121-pwhrf7qgke-000002/1.txt','waiting',NULL,NULL,NULL,25,'b3edf20c33840633075445194416938c81f9d0a5dcd096189f9c7a8ae2ba1f90',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "files" VALUES('job-20261121-pwhtd6pkwr-000001','job-20261121-pwhtd6pkwr','0.txt','jobs/job-20261121-pwhtd6pkwr/in/job-20261121-pwhtd6pkwr-000001/0.txt','waiting',NULL,NULL,NULL,24,'dd7a3cde94215dbbdf70775ba33d196a991ce20a5328d1668413fbab0d42fdce',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "files" VALUES('job-20261121-pwhtd6pkwr-000002','job-20261121-pwhtd6pkwr','1.txt','jobs/job-20261121-pwhtd6pkwr/in/job-20261121-pwhtd6pkwr-000002/1.txt','waiting',NULL,NULL,NULL,24,'fab087700492ab2d29f601e600f39a4b05102069a96c2827c2e1ab733baa9cf0',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE idempotent_requests (
	key_id VARCHAR(64) NOT NULL, 
	idempotency_key VARCHAR(255) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	subject TEXT NOT NULL, 
	claimed_at DATETIME NOT NULL, 
	claim VARCHAR(64) NOT NULL, 
	status BIGINT, 
	answer JSON, 
	CONSTRAINT pk_idempotent_requests PRIMARY KEY (key_id, idempotency_key), 
	CONSTRAINT fk_idempotent_requests_key_id FOREIGN KEY(key_id) REFERENCES api_keys (id)
);
CREATE TABLE jobs (
	id VARCHAR(64) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	reason TEXT, 
	notify TEXT, 
	created_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	cleaned_at DATETIME, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT ck_jobs_state CHECK (state IN ('running', 'failed', 'done_with_failures', 'done', 'cancelled'))
);
INSERT INTO "jobs" VALUES('job-20261121-pwhrf7qgke','running',NULL,'published-job@example.org','2026-11-21 17:21:51.389467',NULL,NULL);
INSERT INTO "jobs" VALUES('job-20261121-pwhtd6pkwr','running',NULL,'accepted-job@example.org','2026-11-21 17:21:51.531050',NULL,NULL);
CREATE TABLE mails (
	id VARCHAR(64) NOT NULL, 
	"to" TEXT NOT NULL, 
	template TEXT NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	reason TEXT, 
	message_id TEXT, 
	created_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	CONSTRAINT pk_mails PRIMARY KEY (id), 
	CONSTRAINT ck_mails_status CHECK (status IN ('queued', 'failed', 'unknown', 'invalid', 'sent'))
);
INSERT INTO "mails" VALUES('mail-20261121-pwhq7mfw1t','dead-letter@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:21:51.287234',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pwhrb85pcc','published@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:21:51.374512',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pwhr3ft9z5','no address','welcome','queued',NULL,NULL,'2026-11-21 17:21:51.382144',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pwhrnz01ey','claimed@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:21:51.384975',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pwhs6afj01','delayed@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:21:51.473797',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pwhtk6wgw3','accepted@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:21:51.526170',NULL);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	subject VARCHAR(64) NOT NULL, 
	broker TEXT NOT NULL, 
	priority BIGINT NOT NULL, 
	signature JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	tries BIGINT NOT NULL, 
	error TEXT, 
	CONSTRAINT pk_outbox PRIMARY KEY (id)
);
INSERT INTO "outbox" VALUES(1,'mail-20261121-pwhtk6wgw3','critical',7,'{"task": "email.send", "args": [{"to": "accepted@example.org", "template": "welcome", "variables": {"name": "accepted"}, "key": "mail-20261121-pwhtk6wgw3"}], "kwargs": {}, "options": {"task_id": "mail-20261121-pwhtk6wgw3", "link": [{"task": "core.record_mail", "args": [], "kwargs": {"mail_id": "mail-20261121-pwhtk6wgw3"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link_error": [{"task": "core.fail_mail", "args": [], "kwargs": {"mail_id": "mail-20261121-pwhtk6wgw3"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}','2026-11-21 17:21:51.526170','2026-11-21 17:21:51.526170',0,NULL);
INSERT INTO "outbox" VALUES(2,'job-20261121-pwhtd6pkwr','batch',4,'{"task": "celery.chord", "args": [], "kwargs": {"kwargs": {}, "header": {"task": "celery.group", "args": [], "kwargs": {"tasks": [{"task": "file.process", "args": ["job-20261121-pwhtd6pkwr-000001", "jobs/job-20261121-pwhtd6pkwr/in/job-20261121-pwhtd6pkwr-000001/0.txt", "jobs/job-20261121-pwhtd6pkwr/out/job-20261121-pwhtd6pkwr-000001", "0.txt"], "kwargs": {}, "options": {"queue": "file.documents", "task_id": "job-20261121-pwhtd6pkwr-000001", "link": [{"task": "core.record_file", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link_error": [{"task": "core.fail_file", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr", "file_id": "job-20261121-pwhtd6pkwr-000001"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "chord": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "task_id": "72f84262-3122-4e38-a348-741e348d34a9", "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}, "group_index": 0, "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}, {"task": "file.process", "args": ["job-20261121-pwhtd6pkwr-000002", "jobs/job-20261121-pwhtd6pkwr/in/job-20261121-pwhtd6pkwr-000002/1.txt", "jobs/job-20261121-pwhtd6pkwr/out/job-20261121-pwhtd6pkwr-000002", "1.txt"], "kwargs": {}, "options": {"queue": "file.documents", "task_id": "job-20261121-pwhtd6pkwr-000002", "link": [{"task": "core.record_file", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link_error": [{"task": "core.fail_file", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr", "file_id": "job-20261121-pwhtd6pkwr-000002"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "chord": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "task_id": "72f84262-3122-4e38-a348-741e348d34a9", "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}, "group_index": 1, "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}]}, "options": {"task_id": "576bf061-bace-43c5-8cce-74eb18fb7e2f", "chord": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "task_id": "72f84262-3122-4e38-a348-741e348d34a9", "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}, "root_id": null, "parent_id": null}, "subtask_type": "group", "immutable": false}, "body": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pwhtd6pkwr"}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {"headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}], "task_id": "72f84262-3122-4e38-a348-741e348d34a9", "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}}, "options": {"task_id": "576bf061-bace-43c5-8cce-74eb18fb7e2f"}, "subtask_type": "chord", "immutable": false}','2026-11-21 17:21:51.531050','2026-11-21 17:21:51.531050',0,NULL);
INSERT INTO "outbox" VALUES(3,'accepted-campaign','default',4,'{"task": "core.advance_campaign", "args": [], "kwargs": {"campaign_id": "accepted-campaign"}, "options": {"task_id": "be4cce1f-4dc7-4c27-9e6f-df14c4e5e943", "reply_to": "fe0e5b55-bc35-3ed6-9f3b-9dbb350778de", "headers": {"message_version": 1}}, "subtask_type": null, "immutable": false}','2026-11-21 17:21:51.542536','2026-11-21 17:21:51.542536',0,NULL);
CREATE TABLE recipients (
	id INTEGER NOT NULL, 
	campaign_id VARCHAR(64) NOT NULL, 
	address TEXT NOT NULL, 
	address_key TEXT NOT NULL, 
	variables JSON NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	reason TEXT, 
	message_id TEXT, 
	attempt BIGINT NOT NULL, 
	chunk_number BIGINT, 
	decided_at DATETIME, 
	CONSTRAINT pk_recipients PRIMARY KEY (id), 
	CONSTRAINT ck_recipients_status CHECK (status IN ('pending', 'failed', 'unknown', 'invalid', 'sent', 'cancelled')), 
	CONSTRAINT fk_recipients_campaign_id FOREIGN KEY(campaign_id) REFERENCES campaigns (id), 
	CONSTRAINT fk_recipients_campaign_id_chunk_number FOREIGN KEY(campaign_id, chunk_number) REFERENCES chunks (campaign_id, number)
);
INSERT INTO "recipients" VALUES(1,'published-campaign','published-campaign-0@example.org','published-campaign-0@example.org','{"name": "published-campaign-0@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,1,NULL);
INSERT INTO "recipients" VALUES(2,'published-campaign','published-campaign-1@example.org','published-campaign-1@example.org','{"name": "published-campaign-1@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,1,NULL);
INSERT INTO "recipients" VALUES(3,'published-campaign','published-campaign-2@example.org','published-campaign-2@example.org','{"name": "published-campaign-2@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,2,NULL);
INSERT INTO "recipients" VALUES(4,'released-campaign','released-campaign-0@example.org','released-campaign-0@example.org','{"name": "released-campaign-0@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,1,NULL);
INSERT INTO "recipients" VALUES(5,'released-campaign','released-campaign-1@example.org','released-campaign-1@example.org','{"name": "released-campaign-1@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,1,NULL);
INSERT INTO "recipients" VALUES(6,'released-campaign','released-campaign-2@example.org','released-campaign-2@example.org','{"name": "released-campaign-2@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,2,NULL);
INSERT INTO "recipients" VALUES(7,'accepted-campaign','accepted-campaign-0@example.org','accepted-campaign-0@example.org','{"name": "accepted-campaign-0@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,1,NULL);
INSERT INTO "recipients" VALUES(8,'accepted-campaign','accepted-campaign-1@example.org','accepted-campaign-1@example.org','{"name": "accepted-campaign-1@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,1,NULL);
INSERT INTO "recipients" VALUES(9,'accepted-campaign','accepted-campaign-2@example.org','accepted-campaign-2@example.org','{"name": "accepted-campaign-2@example.org", "headline": "Headline", "story": "Story"}','pending',NULL,NULL,1,2,NULL);
CREATE TABLE recorder (
	id INTEGER NOT NULL, 
	seen_at DATETIME NOT NULL, 
	dropped BIGINT NOT NULL, 
	CONSTRAINT pk_recorder PRIMARY KEY (id)
);
CREATE TABLE relay (
	id INTEGER NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_relay PRIMARY KEY (id)
);
CREATE TABLE tasks (
	id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	first_at DATETIME NOT NULL, 
	name TEXT, 
	queue TEXT, 
	broker TEXT, 
	worker TEXT, 
	root_id TEXT, 
	parent_id TEXT, 
	group_id TEXT, 
	chord_id TEXT, 
	chord_task TEXT, 
	retries BIGINT, 
	next_steps JSON, 
	args TEXT, 
	kwargs TEXT, 
	eta TEXT, 
	sent_at DATETIME, 
	received_at DATETIME, 
	started_at DATETIME, 
	ended_at DATETIME, 
	seconds DOUBLE, 
	result TEXT, 
	exception TEXT, 
	traceback TEXT, 
	CONSTRAINT pk_tasks PRIMARY KEY (id)
);
CREATE INDEX ix_jobs_cleaned_at_finished_at ON jobs (cleaned_at, finished_at);
CREATE INDEX ix_files_job_id_id ON files (job_id, id);
CREATE INDEX ix_files_job_id_status ON files (job_id, status);
CREATE INDEX ix_campaigns_list_digest_template ON campaigns (list_digest, template);
CREATE INDEX ix_campaigns_state_moved_at ON campaigns (state, moved_at);
CREATE INDEX ix_chunks_campaign_id_state_number ON chunks (campaign_id, state, number);
CREATE UNIQUE INDEX ix_recipients_campaign_id_address_key ON recipients (campaign_id, address_key);
CREATE INDEX ix_recipients_campaign_id_status_id ON recipients (campaign_id, status, id);
CREATE INDEX ix_recipients_campaign_id_chunk_number_id ON recipients (campaign_id, chunk_number, id);
CREATE INDEX ix_recipients_campaign_id_id ON recipients (campaign_id, id);
CREATE INDEX ix_recipients_in_no_chunk ON recipients (campaign_id, id) WHERE chunk_number IS NULL;
CREATE INDEX ix_outbox_due_at ON outbox (due_at);
CREATE UNIQUE INDEX ix_dead_letters_digest ON dead_letters (digest);
CREATE INDEX ix_dead_letters_task_id ON dead_letters (task_id);
CREATE INDEX ix_dead_letters_root_id ON dead_letters (root_id);
CREATE INDEX ix_dead_letters_group_id ON dead_letters (group_id);
CREATE INDEX ix_dead_letters_died_at ON dead_letters (died_at);
CREATE INDEX ix_dead_letters_queue_replayed_at ON dead_letters (queue, replayed_at);
CREATE INDEX ix_tasks_at ON tasks (at);
CREATE INDEX ix_tasks_root_id ON tasks (root_id);
CREATE INDEX ix_tasks_group_id ON tasks (group_id);
CREATE INDEX ix_tasks_chord_id ON tasks (chord_id);
CREATE INDEX ix_tasks_name_first_at_id ON tasks (name, first_at, id);
CREATE INDEX ix_tasks_state_first_at_id ON tasks (state, first_at, id);
CREATE INDEX ix_tasks_queue_first_at_id ON tasks (queue, first_at, id);
CREATE INDEX ix_tasks_first_at_id ON tasks (first_at, id);
CREATE INDEX ix_api_sessions_expires_at ON api_sessions (expires_at);
CREATE INDEX ix_audit_key_id_id ON audit (key_id, id);
CREATE INDEX ix_audit_at ON audit (at);
CREATE INDEX ix_idempotent_requests_claimed_at ON idempotent_requests (claimed_at);
COMMIT;
