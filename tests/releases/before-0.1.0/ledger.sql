BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
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
	CONSTRAINT ck_campaigns_state CHECK (state IN ('loading', 'running', 'done'))
);
INSERT INTO "campaigns" VALUES('published-campaign','newsletter','running','published-campaign.csv','d544d807fed4ca8776a32d0e436f2602bf724cf238d6ea6d89f89920b5ab4f7c',0,0,'2026-11-21 17:05:09.344615','2026-11-21 17:05:09.344615',NULL);
INSERT INTO "campaigns" VALUES('released-campaign','newsletter','running','released-campaign.csv','5975e12e45347b592fe3fa4def3261886ec7cd54ec9fc438729d868683366da3',0,0,'2026-11-21 17:05:09.406073','2026-11-21 17:05:09.415394',NULL);
INSERT INTO "campaigns" VALUES('accepted-campaign','newsletter','running','accepted-campaign.csv','d7d62675963c410ebcf933df5181d2d2871e7e67a9a367857fe8d390d07183fb',0,0,'2026-11-21 17:05:09.440714','2026-11-21 17:05:09.440714',NULL);
CREATE TABLE chunks (
	campaign_id VARCHAR(64) NOT NULL, 
	number BIGINT NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	reason TEXT, 
	released_at DATETIME, 
	finished_at DATETIME, 
	CONSTRAINT pk_chunks PRIMARY KEY (campaign_id, number), 
	CONSTRAINT ck_chunks_state CHECK (state IN ('waiting', 'released', 'failed', 'done')), 
	CONSTRAINT fk_chunks_campaign_id FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
);
INSERT INTO "chunks" VALUES('published-campaign',1,'waiting',NULL,NULL,NULL);
INSERT INTO "chunks" VALUES('published-campaign',2,'waiting',NULL,NULL,NULL);
INSERT INTO "chunks" VALUES('released-campaign',1,'released',NULL,'2026-11-21 17:05:09.415394',NULL);
INSERT INTO "chunks" VALUES('released-campaign',2,'released',NULL,'2026-11-21 17:05:09.415394',NULL);
INSERT INTO "chunks" VALUES('accepted-campaign',1,'waiting',NULL,NULL,NULL);
INSERT INTO "chunks" VALUES('accepted-campaign',2,'waiting',NULL,NULL,NULL);
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
INSERT INTO "files" VALUES('job-20261121-pgt0gmdw97-000001','job-20261121-pgt0gmdw97','0.txt','jobs/job-20261121-pgt0gmdw97/in/job-20261121-pgt0gmdw97-000001/0.txt','waiting',NULL,NULL,NULL,25,'155cd794aa2f2a7ce0c536d3458152bda92efc3c9327c3a8d8a7ba588baabeff',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "files" VALUES('job-20261121-pgt0gmdw97-000002','job-20261121-pgt0gmdw97','1.txt','jobs/job-20261121-pgt0gmdw97/in/job-20261121-pgt0gmdw97-000002/1.txt','waiting',NULL,NULL,NULL,25,'b3edf20c33840633075445194416938c81f9d0a5dcd096189f9c7a8ae2ba1f90',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "files" VALUES('job-20261121-pgt1r0z4mc-000001','job-20261121-pgt1r0z4mc','0.txt','jobs/job-20261121-pgt1r0z4mc/in/job-20261121-pgt1r0z4mc-000001/0.txt','waiting',NULL,NULL,NULL,24,'dd7a3cde94215dbbdf70775ba33d196a991ce20a5328d1668413fbab0d42fdce',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "files" VALUES('job-20261121-pgt1r0z4mc-000002','job-20261121-pgt1r0z4mc','1.txt','jobs/job-20261121-pgt1r0z4mc/in/job-20261121-pgt1r0z4mc-000002/1.txt','waiting',NULL,NULL,NULL,24,'fab087700492ab2d29f601e600f39a4b05102069a96c2827c2e1ab733baa9cf0',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE jobs (
	id VARCHAR(64) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	reason TEXT, 
	notify TEXT, 
	created_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	cleaned_at DATETIME, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT ck_jobs_state CHECK (state IN ('running', 'failed', 'done_with_failures', 'done'))
);
INSERT INTO "jobs" VALUES('job-20261121-pgt0gmdw97','running',NULL,'published-job@example.org','2026-11-21 17:05:09.336263',NULL,NULL);
INSERT INTO "jobs" VALUES('job-20261121-pgt1r0z4mc','running',NULL,'accepted-job@example.org','2026-11-21 17:05:09.436553',NULL,NULL);
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
INSERT INTO "mails" VALUES('mail-20261121-pgsz18x7xa','dead-letter@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:05:09.259424',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pgsz83ah59','published@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:05:09.325399',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pgsz0gz0dg','no address','welcome','queued',NULL,NULL,'2026-11-21 17:05:09.327979',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pgszrj4sdx','claimed@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:05:09.328982',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pgt0dcbfbw','delayed@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:05:09.400256',NULL);
INSERT INTO "mails" VALUES('mail-20261121-pgt1hxvjmm','accepted@example.org','welcome','queued',NULL,NULL,'2026-11-21 17:05:09.434311',NULL);
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
INSERT INTO "outbox" VALUES(1,'mail-20261121-pgt1hxvjmm','critical',7,'{"task": "email.send", "args": [{"to": "accepted@example.org", "template": "welcome", "variables": {"name": "accepted"}, "key": "mail-20261121-pgt1hxvjmm"}], "kwargs": {}, "options": {"task_id": "mail-20261121-pgt1hxvjmm", "link": [{"task": "core.record_mail", "args": [], "kwargs": {"mail_id": "mail-20261121-pgt1hxvjmm"}, "options": {}, "subtask_type": null, "immutable": false}], "link_error": [{"task": "core.fail_mail", "args": [], "kwargs": {"mail_id": "mail-20261121-pgt1hxvjmm"}, "options": {}, "subtask_type": null, "immutable": false}], "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621"}, "subtask_type": null, "immutable": false}','2026-11-21 17:05:09.434311','2026-11-21 17:05:09.434311',0,NULL);
INSERT INTO "outbox" VALUES(2,'job-20261121-pgt1r0z4mc','batch',4,'{"task": "celery.chord", "args": [], "kwargs": {"kwargs": {}, "header": {"task": "celery.group", "args": [], "kwargs": {"tasks": [{"task": "file.process", "args": ["job-20261121-pgt1r0z4mc-000001", "jobs/job-20261121-pgt1r0z4mc/in/job-20261121-pgt1r0z4mc-000001/0.txt", "jobs/job-20261121-pgt1r0z4mc/out/job-20261121-pgt1r0z4mc-000001", "0.txt"], "kwargs": {}, "options": {"queue": "file.documents", "task_id": "job-20261121-pgt1r0z4mc-000001", "link": [{"task": "core.record_file", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {}, "subtask_type": null, "immutable": false}], "link_error": [{"task": "core.fail_file", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc", "file_id": "job-20261121-pgt1r0z4mc-000001"}, "options": {}, "subtask_type": null, "immutable": false}], "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621", "chord": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}], "task_id": "1ed0164b-d813-4b20-950a-0e62f445c1b4", "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621"}, "subtask_type": null, "immutable": false}, "group_index": 0}, "subtask_type": null, "immutable": false}, {"task": "file.process", "args": ["job-20261121-pgt1r0z4mc-000002", "jobs/job-20261121-pgt1r0z4mc/in/job-20261121-pgt1r0z4mc-000002/1.txt", "jobs/job-20261121-pgt1r0z4mc/out/job-20261121-pgt1r0z4mc-000002", "1.txt"], "kwargs": {}, "options": {"queue": "file.documents", "task_id": "job-20261121-pgt1r0z4mc-000002", "link": [{"task": "core.record_file", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {}, "subtask_type": null, "immutable": false}], "link_error": [{"task": "core.fail_file", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc", "file_id": "job-20261121-pgt1r0z4mc-000002"}, "options": {}, "subtask_type": null, "immutable": false}], "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621", "chord": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}], "task_id": "1ed0164b-d813-4b20-950a-0e62f445c1b4", "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621"}, "subtask_type": null, "immutable": false}, "group_index": 1}, "subtask_type": null, "immutable": false}]}, "options": {"task_id": "0e9c34de-3afa-44ac-a0ca-3f6c8ea32fbe", "chord": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}], "task_id": "1ed0164b-d813-4b20-950a-0e62f445c1b4", "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621"}, "subtask_type": null, "immutable": false}, "root_id": null, "parent_id": null}, "subtask_type": "group", "immutable": false}, "body": {"task": "core.merge_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {"link_error": [{"task": "core.fail_job", "args": [], "kwargs": {"job_id": "job-20261121-pgt1r0z4mc"}, "options": {}, "subtask_type": null, "immutable": false}], "link": [{"task": "email.send", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}], "task_id": "1ed0164b-d813-4b20-950a-0e62f445c1b4", "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621"}, "subtask_type": null, "immutable": false}}, "options": {"task_id": "0e9c34de-3afa-44ac-a0ca-3f6c8ea32fbe"}, "subtask_type": "chord", "immutable": false}','2026-11-21 17:05:09.436553','2026-11-21 17:05:09.436553',0,NULL);
INSERT INTO "outbox" VALUES(3,'accepted-campaign','default',4,'{"task": "core.advance_campaign", "args": [], "kwargs": {"campaign_id": "accepted-campaign"}, "options": {"task_id": "75ef04eb-d8a3-415d-b3e3-9761d8eb05d1", "reply_to": "396bbf28-b7ea-3876-bbd4-40bf6b89c621"}, "subtask_type": null, "immutable": false}','2026-11-21 17:05:09.447252','2026-11-21 17:05:09.447252',0,NULL);
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
	CONSTRAINT ck_recipients_status CHECK (status IN ('pending', 'failed', 'unknown', 'invalid', 'sent')), 
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
CREATE TABLE relay (
	id INTEGER NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_relay PRIMARY KEY (id)
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
COMMIT;
