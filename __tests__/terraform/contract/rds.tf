resource "aws_rds_cluster" "aurora_mysql" {
  cluster_identifier      = "aurora-mysql"
  engine                  = "aurora-mysql"
  engine_mode             = "serverless"
  database_name           = "test"
  master_username         = var.master_username
  master_password         = var.master_password
  backup_retention_period = 30
  vpc_security_group_ids  = [aws_security_group.aurora_mysql.id]
  storage_encrypted       = true
  enable_http_endpoint    = true
  skip_final_snapshot     = true

  scaling_configuration {
    auto_pause     = false
    min_capacity   = 1
    max_capacity   = 2
    timeout_action = "RollbackCapacityChange"
  }
}

# The cluster is in the default VPC's own subnet group, not in this one.
resource "aws_db_subnet_group" "aurora_mysql" {
  name       = "aurora_mysql"
  subnet_ids = data.aws_subnets.default.ids
}

resource "aws_security_group" "aurora_mysql" {
  name        = "aurora-mysql"
  description = "Aurora MySQL and the hosts that reach it"
  vpc_id      = data.aws_vpc.default.id
}

resource "aws_security_group_rule" "ingress" {
  type              = "ingress"
  from_port         = 3306
  to_port           = 3306
  protocol          = "tcp"
  self              = true
  security_group_id = aws_security_group.aurora_mysql.id
}

resource "aws_security_group_rule" "egress" {
  type              = "egress"
  from_port         = 0
  to_port           = 0
  protocol          = "-1"
  cidr_blocks       = ["0.0.0.0/0"]
  security_group_id = aws_security_group.aurora_mysql.id
}
